package scrape

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

const (
	text        = "text/plain; version=0.0.4"
	openMetrics = "application/openmetrics-text; version=1.0.0"
)

var targetLabels = labels.FromStrings("job", "shop/web", "instance", "10.0.0.1:80", "namespace", "shop", "pod", "web-1", "service", "web")

// bench is a page without a network.
type bench struct{ *scraper }

func newBench(j *job) bench {
	j.interval = 1
	env := &environment{bodies: &budget{limit: 1 << 40}, series: &budget{limit: 1 << 40}}
	t := &target{job: j, labels: targetLabels, urls: []string{"http://10.0.0.1:80/metrics"}}
	return bench{&scraper{environment: env, is: t, place: placeOf(targetLabels), page: nil}}.with(j)
}

func (b bench) with(j *job) bench {
	t := &target{job: j, labels: targetLabels}
	if b.page == nil {
		b.page = newPage(b.rules(t), b.series)
	} else {
		b.page.change(b.rules(t))
	}
	return b
}

func (b bench) scrapeAt(t testing.TB, now int64, body, contentType string) pmetric.Metrics {
	t.Helper()
	md, out := b.metrics()
	b.page.begin(now, out)
	if err := b.page.parse([]byte(body), format{contentType: contentType, ownTimes: true}); err != nil {
		t.Fatal(err)
	}
	b.page.sweep()
	b.page.commit(true, false)
	return md
}

func (b bench) failAt(now int64) pmetric.Metrics {
	md, out := b.metrics()
	b.page.begin(now, out)
	b.page.vanish()
	b.page.commit(true, true)
	return md
}

func capture(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const everyType = `# HELP requests_total All requests.
# TYPE requests_total counter
requests_total{code="200"} 3
requests_total{code="500"} 1 1799999999000
# TYPE temperature gauge
temperature -3.5
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} 1
took_seconds_bucket{le="1"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 4.5
took_seconds_count 3
# TYPE size summary
size{quantile="0.5"} 1
size{quantile="0.99"} 2
size_sum 3
size_count 2
loose 1
# TYPE broken histogram
broken_bucket{le="1"} 2
broken_sum 1
broken_count 1
namespaced{namespace="own",pod=""} 1
`

func TestPagesAreWhatPrometheusReads(t *testing.T) {
	pages := map[string]string{"text": everyType, "api server": capture(t, "kube-apiserver-metrics.txt")}
	for name, body := range pages {
		t.Run(name, func(t *testing.T) {
			b := newBench(&job{honorLabels: false})
			for n := range 3 {
				got := flatten(b.scrapeAt(t, scrapeTime, body, text))
				samples.Equal(t, got, wantRelabelled(t, body, text, b))
				if n > 0 && b.page.tally.stale+b.page.tally.added > 0 {
					t.Errorf("%+v", b.page.tally)
				}
			}
		})
	}
}

// wantRelabelled applies the target's labels as the receiver's own rules do.
func wantRelabelled(t testing.TB, body, contentType string, b bench) []string {
	var lines []string
	for _, line := range want(t, body, contentType, labels.EmptyLabels()) {
		lines = append(lines, mutateLine(t, line, b))
	}
	return sorted(lines)
}

func TestOpenMetrics(t *testing.T) {
	const body = `# TYPE requests counter
requests_total{code="200"} 3 # {trace_id="0123456789abcdef0123456789abcdef",user="u"} 1 1799999999.5
requests_created{code="200"} 1700000000
# TYPE build info
build_info{version="1"} 1
# TYPE state stateset
state{state="on"} 1
# TYPE took histogram
took_bucket{le="1.0"} 1 # {span_id="0123456789abcdef"} 0.5
took_bucket{le="+Inf"} 1
took_sum 0.5
took_count 1
took_created 1700000000
# EOF
`
	b := newBench(&job{})
	md := b.scrapeAt(t, scrapeTime, body, openMetrics)
	samples.Equal(t, flatten(md), wantRelabelled(t, body, openMetrics, b))
	found := map[string]pmetric.Metric{}
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		found[m.Name()] = m
	}
	for name, kind := range map[string]string{"requests_total": "counter", "build_info": "info", "state": "stateset", "took": "histogram"} {
		if got, _ := found[name].Metadata().Get(metadataType); got.Str() != kind {
			t.Errorf("%s is %q, want %q", name, got.Str(), kind)
		}
	}
	counter := found["requests_total"].Sum().DataPoints().At(0)
	if counter.StartTimestamp() != 1_700_000_000e9 {
		t.Errorf("start is %d", counter.StartTimestamp())
	}
	e := counter.Exemplars().At(0)
	if user, _ := e.FilteredAttributes().Get("user"); e.TraceID().IsEmpty() || user.Str() != "u" || e.Timestamp() != 1_799_999_999_500e6 || e.DoubleValue() != 1 {
		t.Errorf("exemplar %v %v", e.TraceID(), e.FilteredAttributes().AsRaw())
	}
	histogram := found["took"].Histogram().DataPoints().At(0)
	if histogram.StartTimestamp() != 1_700_000_000e9 || histogram.Exemplars().Len() != 1 || histogram.Exemplars().At(0).SpanID().IsEmpty() {
		t.Error("histogram lost its start or exemplar")
	}
}

func TestVanishedSeriesAreMarkedOnce(t *testing.T) {
	b := newBench(&job{})
	b.scrapeAt(t, scrapeTime, everyType, text)
	const left = "# TYPE requests_total counter\nrequests_total{code=\"200\"} 4\n"
	second := flatten(b.scrapeAt(t, scrapeTime+1000, left, text))
	stale := 0
	for _, line := range second {
		if strings.Contains(line, " stale ") {
			stale++
		}
	}
	if all := len(want(t, everyType, text, labels.EmptyLabels())); stale != all-1 || len(second) != all {
		t.Errorf("%d of %d lines are stale, want all but one of %d:\n%s", stale, len(second), all, strings.Join(second, "\n"))
	}
	if third := flatten(b.scrapeAt(t, scrapeTime+2000, left, text)); len(third) != 1 {
		t.Errorf("%v", third)
	}
	if len(b.page.byID) != 1 || len(b.page.groups) != 0 || b.page.held != bytesOf(b.page) {
		t.Errorf("%d series, %d groups, %d bytes are held", len(b.page.byID), len(b.page.groups), b.page.held)
	}
}

// bytesOf sums what the page's series take, which held must say.
func bytesOf(p *page) (sum int64) {
	for _, s := range p.byID {
		sum += int64(s.bytes())
	}
	return sum
}

func TestFailureMarksAllUntilThePageIsBack(t *testing.T) {
	b := newBench(&job{})
	all := len(flatten(b.scrapeAt(t, scrapeTime, everyType, text)))
	if stale := flatten(b.failAt(scrapeTime + 1000)); strings.Count(strings.Join(stale, "\n"), " stale ") != all {
		t.Errorf("%d of %d are marked", len(stale), all)
	}
	if again := flatten(b.failAt(scrapeTime + 2000)); len(again) != 0 {
		t.Errorf("marked again: %v", again)
	}
	if back := flatten(b.scrapeAt(t, scrapeTime+3000, everyType, text)); len(back) != all || b.page.tally.added != all {
		t.Errorf("%d of %d are back, %d as new", len(back), all, b.page.tally.added)
	}
}

// A changed rule must end the series it takes away, and no other.
func TestChangedRulesMarkWhatTheyDrop(t *testing.T) {
	b := newBench(&job{})
	b.scrapeAt(t, scrapeTime, everyType, text)
	drop := relabel.DefaultRelabelConfig
	drop.SourceLabels, drop.Regex, drop.Action = model.LabelNames{"__name__"}, relabel.MustNewRegexp("took_seconds.*"), relabel.Drop
	b.with(&job{metricRules: []*relabel.Config{&drop}})
	for _, line := range flatten(b.scrapeAt(t, scrapeTime+1000, everyType, text)) {
		if strings.Contains(line, "took_seconds") != strings.Contains(line, " stale ") {
			t.Error(line)
		}
	}
}

// A rule that takes target labels away must be obeyed, though these are on the
// resource for all other series.
func TestRulesThatTakeTargetLabelsAway(t *testing.T) {
	drop := relabel.DefaultRelabelConfig
	drop.Regex, drop.Action = relabel.MustNewRegexp("pod|instance"), relabel.LabelDrop
	b := newBench(&job{metricRules: []*relabel.Config{&drop}})
	md := b.scrapeAt(t, scrapeTime, everyType, text)
	for _, line := range flatten(md) {
		if strings.Contains(line, "web-1") || strings.Contains(line, "10.0.0.1") || !strings.Contains(line, `job="shop/web"`) {
			t.Error(line)
		}
	}
	samples.Equal(t, flatten(md), wantRelabelled(t, everyType, text, b))
}

func TestHonoredLabels(t *testing.T) {
	const body = "a{pod=\"theirs\",job=\"j\"} 1\n"
	for honor, wanted := range map[bool]string{
		true:  `{__name__="a", instance="10.0.0.1:80", job="j", namespace="shop", pod="theirs", service="web"} 1`,
		false: `{__name__="a", exported_job="j", exported_pod="theirs", instance="10.0.0.1:80", job="shop/web", namespace="shop", pod="web-1", service="web"} 1`,
	} {
		b := newBench(&job{honorLabels: honor})
		samples.Equal(t, values(flatten(b.scrapeAt(t, scrapeTime, body, text))), []string{wanted})
	}
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limits  limits
		body    string
		outcome string
	}{
		"samples":     {limits{samples: 2}, "a 1\nb 1\nc 1\n", outcomeSampleLimit},
		"labels":      {limits{labels: 7}, "a{x=\"1\",y=\"2\"} 1\n", outcomeLabelLimit},
		"label name":  {limits{labelNameLength: 10}, "a{abcdefghijk=\"1\"} 1\n", outcomeLabelLimit},
		"label value": {limits{labelValueLength: 20}, "a{x=\"" + strings.Repeat("y", 21) + "\"} 1\n", outcomeLabelLimit},
		"garbage":     {limits{}, "<html>\n", outcomeMalformed},
		"twice":       {limits{}, "a{x=\"1\",x=\"2\"} 1\n", outcomeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(&job{limits: c.limits})
			_, out := b.metrics()
			b.page.begin(scrapeTime, out)
			err := b.page.parse([]byte(c.body), format{contentType: text})
			if outcomeOf(err) != c.outcome || err == nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// Pages of ever new series that all fail must not grow the cache.
func TestFailingPagesDoNotGrowTheCache(t *testing.T) {
	b := newBench(&job{})
	for n := range 100 {
		_, out := b.metrics()
		b.page.begin(scrapeTime+int64(n), out)
		if b.page.parse([]byte(fmt.Sprintf("a%d 1\nb{n=\"%d\"} 1\n<\n", n, n)), format{contentType: text}) == nil {
			t.Fatal("taken")
		}
		b.failAt(scrapeTime + int64(n))
	}
	if n := len(b.page.byID); n > 2*2*maxFailures {
		t.Errorf("%d series are kept", n)
	}
}

func TestMemoryIsBoundedAndGivenBack(t *testing.T) {
	b := newBench(&job{})
	b.page.memory = &budget{limit: 2000}
	_, out := b.metrics()
	b.page.begin(scrapeTime, out)
	if err := b.page.parse([]byte(everyType), format{contentType: text}); outcomeOf(err) != outcomeMemory {
		t.Errorf("%v", err)
	}
	b.page.close()
	if used := b.page.memory.used.Load(); used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
}

// Histograms and summaries whose labels are the same are whole, each by its name.
func TestFamiliesOfEqualLabelsAreWhole(t *testing.T) {
	var body strings.Builder
	want := map[string]pmetric.MetricType{}
	for _, name := range []string{"a_seconds", "b_seconds", "c_seconds"} {
		fmt.Fprintf(&body, "# TYPE %[1]s histogram\n%[1]s_bucket{le=\"1\"} 1\n%[1]s_bucket{le=\"+Inf\"} 2\n%[1]s_sum 3\n%[1]s_count 2\n", name)
		fmt.Fprintf(&body, "# TYPE %[1]s summary\n%[1]s{quantile=\"0.5\"} 1\n%[1]s_sum 3\n%[1]s_count 2\n", "of_"+name)
		want[name], want["of_"+name] = pmetric.MetricTypeHistogram, pmetric.MetricTypeSummary
	}
	b := newBench(&job{})
	for second := range int64(3) {
		got := map[string]pmetric.MetricType{}
		for _, rm := range b.scrapeAt(t, scrapeTime+1000*second, body.String(), text).ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				got[m.Name()] = m.Type()
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("scrape %d (-want +got):\n%s", second, d)
		}
	}
}

// What its source repeats behind a marker goes on right behind that.
func TestResumption(t *testing.T) {
	b := newBench(&job{})
	for i, step := range []struct{ page, want string }{
		{"a 1 1000\nb 1\n", "a 1 1000"},
		{"b 1\n", "a stale 1001"},
		{"a 1 1000\nb 1\n", "a 1 1002"},
		{"a 1 1000\nb 1\n", "a 1 1002"},
		{"", "a stale 1003"}, // fails
		{"", ""},
		{"a 2 1001\nb 1\n", "a 2 1004"}, // new, and not newer than what was written
		{"a 3 1004\nb 1\n", "a 3 1005"},
		{"a 4 2000\nb 1\n", "a 4 2000"},
		{"a 4 1500\nb 1\n", "a 4 1500"}, // for the store to refuse
		{"a 6 3000\nb 1\n", "a 6 3000"},
		{"b 1\n", "a stale 3001"},
		{"b 1\n", ""},
		{"a 7 4000\nb 1\n", "a 7 4000"},
		{"a 8\nb 1\n", fmt.Sprintf("a 8 %d", int64(scrapeTime))},
	} {
		var md pmetric.Metrics
		if step.page == "" {
			md = b.failAt(scrapeTime)
		} else {
			md = b.scrapeAt(t, scrapeTime, step.page, text)
		}
		var got string
		for _, line := range flatten(md) {
			if name, rest, _ := strings.Cut(line, "} "); strings.HasPrefix(name, `{__name__="a"`) {
				got = "a " + rest
			}
		}
		if got != step.want {
			t.Errorf("page %d: %q, want %q", i, got, step.want)
		}
	}
}
