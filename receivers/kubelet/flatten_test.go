package kubelet

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const scrapeTime = 1_800_000_000_000

var captures = []string{"metrics-cadvisor.txt", "metrics-cadvisor-from-cri.txt", "metrics-cadvisor-cgroup2.txt", "metrics-resource.txt", "metrics-probes.txt", "metrics.txt"}

func capture(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// want gives the page's samples as Prometheus' parser alone sees them: sorted,
// the first of each series, without empty labels.
func want(t testing.TB, body string, openMetrics bool) []string {
	t.Helper()
	contentType := "text/plain"
	if openMetrics {
		contentType = "application/openmetrics-text"
	}
	parser, err := textparse.New([]byte(body), contentType, nil, textparse.ParserOptions{OpenMetricsSkipSTSeries: true})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	seen := map[string]bool{}
	for {
		entry, err := parser.Next()
		if err != nil {
			break
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var l labels.Labels
		parser.Labels(&l)
		_, ts, v := parser.Series()
		at := int64(scrapeTime)
		if ts != nil {
			at = *ts
		}
		if id := l.WithoutEmpty().String(); !seen[id] {
			seen[id] = true
			lines = append(lines, fmt.Sprintf("%s %v %d", id, v, at))
		}
	}
	slices.Sort(lines)
	return lines
}

// flatten gives metrics as the series that a store has of them, sorted. A
// marker has the value "stale".
func flatten(metrics pmetric.MetricSlice) []string {
	f := &flattener{}
	for _, m := range metrics.All() {
		switch m.Type() {
		case pmetric.MetricTypeGauge:
			f.numbers(m.Name(), m.Gauge().DataPoints())
		case pmetric.MetricTypeSum:
			f.numbers(m.Name(), m.Sum().DataPoints())
		case pmetric.MetricTypeHistogram:
			f.histograms(m.Name(), m.Histogram().DataPoints())
		case pmetric.MetricTypeSummary:
			f.summaries(m.Name(), m.Summary().DataPoints())
		}
	}
	slices.Sort(f.lines)
	return f.lines
}

type flattener struct{ lines []string }

func (f *flattener) line(name string, attrs pcommon.Map, label, bound string, stale bool, v float64, at pcommon.Timestamp) {
	b := labels.NewBuilder(labels.EmptyLabels()).Set(model.MetricNameLabel, name)
	for k, v := range attrs.All() {
		b.Set(k, v.Str())
	}
	if label != "" {
		b.Set(label, bound)
	}
	text := fmt.Sprint(v)
	if stale {
		text = "stale"
	}
	f.lines = append(f.lines, fmt.Sprintf("%s %s %d", b.Labels(), text, int64(at)/1e6))
}

func (f *flattener) numbers(name string, points pmetric.NumberDataPointSlice) {
	for _, p := range points.All() {
		f.line(name, p.Attributes(), "", "", p.Flags().NoRecordedValue(), p.DoubleValue(), p.Timestamp())
	}
}

func (f *flattener) histograms(name string, points pmetric.HistogramDataPointSlice) {
	for _, p := range points.All() {
		stale := p.Flags().NoRecordedValue()
		sum := uint64(0)
		for i, n := range p.BucketCounts().All() {
			bound := math.Inf(1)
			if i < p.ExplicitBounds().Len() {
				bound = p.ExplicitBounds().At(i)
			}
			sum += n
			f.line(name+"_bucket", p.Attributes(), "le", labels.FormatOpenMetricsFloat(bound), stale, float64(sum), p.Timestamp())
		}
		f.line(name+"_count", p.Attributes(), "", "", stale, float64(p.Count()), p.Timestamp())
		if p.HasSum() || stale {
			f.line(name+"_sum", p.Attributes(), "", "", stale, p.Sum(), p.Timestamp())
		}
	}
}

func (f *flattener) summaries(name string, points pmetric.SummaryDataPointSlice) {
	for _, p := range points.All() {
		stale := p.Flags().NoRecordedValue()
		for _, q := range p.QuantileValues().All() {
			f.line(name, p.Attributes(), "quantile", labels.FormatOpenMetricsFloat(q.Quantile()), stale, q.Value(), p.Timestamp())
		}
		f.line(name+"_count", p.Attributes(), "", "", stale, float64(p.Count()), p.Timestamp())
		f.line(name+"_sum", p.Attributes(), "", "", stale, p.Sum(), p.Timestamp())
	}
}

// scrape runs one successful scrape that the pipeline takes.
func scrape(t testing.TB, p *page, body string, openMetrics bool) pmetric.MetricSlice {
	t.Helper()
	return scrapeAt(t, p, scrapeTime, body, openMetrics, true)
}

func scrapeAt(t testing.TB, p *page, now int64, body string, openMetrics, taken bool) pmetric.MetricSlice {
	t.Helper()
	out := pmetric.NewMetricSlice()
	p.begin(now)
	in := formatText
	if openMetrics {
		in = formatOpenMetrics
	}
	if err := parseAll(p, []byte(body), in); err != nil {
		t.Fatal(err)
	}
	p.sweep()
	writeAll(p, out)
	p.commit(taken, false)
	return out
}

// parseAll reads a page in one part.
func parseAll(p *page, body []byte, in format) error {
	_, err := p.parse(body, in, true)
	return err
}

// writeAll writes all requests to one slice.
func writeAll(p *page, out pmetric.MetricSlice) {
	p.write(out, func() pmetric.MetricSlice { return out })
}

// fail runs one scrape that gave no page.
func fail(p *page, now int64, taken bool) pmetric.MetricSlice {
	out := pmetric.NewMetricSlice()
	p.begin(now)
	p.vanish()
	writeAll(p, out)
	p.commit(taken, true)
	return out
}

func equal(t testing.TB, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return // at once, for long pages
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("series differ (-want +got):\n%s", d)
	}
}
