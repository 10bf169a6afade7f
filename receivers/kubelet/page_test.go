package kubelet

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

func TestCapturesAreLossless(t *testing.T) {
	for _, name := range captures {
		t.Run(name, func(t *testing.T) {
			body := string(capture(t, name))
			lines := want(t, body, false)
			if len(lines) < 30 {
				t.Fatalf("capture has only %d series", len(lines))
			}
			p := newPage(200_000, nil)
			for range 3 { // unknown, known and known again
				samples.Equal(t, flatten(scrape(t, p, body, false)), lines)
				if p.tally.samples != len(lines) || p.tally.stale != 0 || p.tally.duplicates != 0 {
					t.Errorf("tally %+v, want %d samples and nothing else", p.tally, len(lines))
				}
			}
		})
	}
}

// parseInParts reads a page in parts of n bytes.
func parseInParts(p *page, body string, n int) error {
	rest := ""
	for {
		part := body[:min(n, len(body))]
		body = body[len(part):]
		buffer := append([]byte(rest), part...)
		used, err := p.parse(buffer, formatText, body == "")
		if err != nil || body == "" {
			return err
		}
		if string(buffer) != rest+part {
			return errors.New("the part was changed")
		}
		rest = string(buffer[used:])
	}
}

// However a page is cut into parts, it says the same; a newline within a
// label's value, which Prometheus' parser takes, is no end of a line.
func TestPagesInParts(t *testing.T) {
	odd := "# HELP a text\n# TYPE a counter\na{l=\"x\ny\"} 1\nb 2\n\n c 3\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1"
	for name, body := range map[string]string{"capture": string(capture(t, "metrics.txt")), "odd": odd} {
		for _, n := range []int{1, 2, 7, 100, 5000} {
			if name == "capture" && n < 100 {
				continue // slow
			}
			whole, parts := newPage(200_000, nil), newPage(200_000, nil)
			for range 2 {
				parts.begin(scrapeTime)
				if err := parseInParts(parts, body, n); err != nil {
					t.Fatalf("%s in parts of %d bytes: %v", name, n, err)
				}
				parts.sweep()
				out := pmetric.NewMetricSlice()
				writeAll(parts, out)
				parts.commit(true, false)
				samples.Equal(t, flatten(out), flatten(scrape(t, whole, body, false)))
			}
		}
	}
	p := newPage(100, nil)
	p.begin(scrapeTime)
	if err := parseInParts(p, "a 1\nb 2\nc{ 3\nd 4\n", 4); err == nil || !strings.HasPrefix(err.Error(), "line 3 (byte 8): ") {
		t.Errorf("error %v does not name line 3", err)
	}
}

func TestCaptureTypes(t *testing.T) {
	body := string(capture(t, "metrics.txt"))
	kinds, seen := map[string]int{}, map[string]bool{}
	for _, m := range scrape(t, newPage(200_000, nil), body, false).All() {
		kind, _ := m.Metadata().Get(metadataType)
		if !seen[m.Name()] { // a family may go on in the next request
			kinds[kind.Str()]++
		}
		seen[m.Name()] = true
		if m.Description() == "" {
			t.Errorf("%s has no description", m.Name())
		}
		if m.Type() == pmetric.MetricTypeSum && (!m.Sum().IsMonotonic() || m.Sum().AggregationTemporality() != pmetric.AggregationTemporalityCumulative) {
			t.Errorf("%s is no monotonic cumulative sum", m.Name())
		}
		if m.Name() == "kubelet_pleg_relist_duration_seconds" && m.Type() != pmetric.MetricTypeHistogram {
			t.Errorf("%s is a %v", m.Name(), m.Type())
		}
	}
	if d := cmp.Diff(map[string]int{"counter": 137, "gauge": 103, "histogram": 40, "summary": 1}, kinds); d != "" {
		t.Errorf("types differ (-want +got):\n%s", d)
	}
}

func TestStaleness(t *testing.T) {
	const (
		before = "# TYPE c counter\nc{a=\"1\"} 1\nc{a=\"2\"} 2 1800000009000\n# TYPE h histogram\n" +
			"h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n" +
			"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\ngone_bucket 7\n"
		after = "# TYPE c counter\nc{a=\"1\"} 5\n"
	)
	markers := []string{
		`{__name__="c", a="2"} stale 1800000009001`, // after its own last time
		`{__name__="gone_bucket"} stale 1800000001000`,
		`{__name__="h_bucket", le="+Inf"} stale 1800000001000`,
		`{__name__="h_bucket", le="1.0"} stale 1800000001000`,
		`{__name__="h_count"} stale 1800000001000`,
		`{__name__="h_sum"} stale 1800000001000`,
		`{__name__="s", quantile="0.5"} stale 1800000001000`,
		`{__name__="s_count"} stale 1800000001000`,
		`{__name__="s_sum"} stale 1800000001000`,
	}
	alive := []string{`{__name__="c", a="1"} 5 1800000001000`}

	p := newPage(100, nil)
	scrape(t, p, before, false)
	refused := scrapeAt(t, p, scrapeTime+1000, after, false, false)
	samples.Equal(t, flatten(refused), slices.Concat(alive, markers))
	// What the pipeline did not take is said again, what it took is not.
	samples.Equal(t, flatten(scrapeAt(t, p, scrapeTime+1000, after, false, true)), slices.Concat(alive, markers))
	for range 2 {
		samples.Equal(t, flatten(scrapeAt(t, p, scrapeTime+1000, after, false, true)), alive)
	}
	if len(p.byLine) != 1 || len(p.byHash) != 1 || len(p.families) != 1 {
		t.Errorf("cache holds %d, %d series and %d families, want 1 each", len(p.byLine), len(p.byHash), len(p.families))
	}
	// And one that comes back is a series as before.
	samples.Equal(t, flatten(scrape(t, p, before, false)), want(t, before, false))
}

func TestFailureMarksEverySeriesOnce(t *testing.T) {
	for _, name := range captures {
		t.Run(name, func(t *testing.T) { testFailure(t, string(capture(t, name))) })
	}
}

func namesOf(metrics pmetric.MetricSlice) map[string]bool {
	names := map[string]bool{}
	for _, m := range metrics.All() {
		names[m.Name()] = true
	}
	return names
}

// markersOf are the markers of series at now, or right behind their last value if
// that has a time of the page's own: what cAdvisor gives after a failed scrape may
// be older than now, and must not be out of order.
func markersOf(t *testing.T, lines []string, now int64) []string {
	t.Helper()
	var markers []string
	for _, line := range lines {
		rest, last, _ := cutLast(line)
		series, _, ok := cutLast(rest)
		at, err := strconv.ParseInt(last, 10, 64)
		if err != nil || !ok {
			t.Fatalf("line %q", line)
		}
		marker := now
		if at != scrapeTime {
			marker = at + 1
		}
		markers = append(markers, fmt.Sprintf("%s stale %d", series, marker))
	}
	slices.Sort(markers)
	return markers
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, ' ')
	return s[:max(i, 0)], s[i+1:], i >= 0
}

func testFailure(t *testing.T, body string) {
	lines := want(t, body, false)
	p := newPage(200_000, nil)
	scrape(t, p, body, false)

	for _, taken := range []bool{false, true} {
		out := fail(p, scrapeTime+1000, taken)
		markers := flatten(out)
		if len(markers) != len(lines) {
			t.Fatalf("%d markers for %d series", len(markers), len(lines))
		}
		// A family may go on in the next request.
		if names := namesOf(out); out.Len() > len(names)+len(lines)/requestSeries+1 {
			t.Errorf("%d metrics for %d names", out.Len(), len(names))
		}
		slices.Sort(markers)
		samples.Equal(t, markers, markersOf(t, lines, scrapeTime+1000))
	}
	if again := fail(p, scrapeTime+2000, true); again.Len() != 0 {
		t.Errorf("second failure in a row made %d more metrics", again.Len())
	}
	// The old page again goes on behind the markers, and stays there.
	resumed := later(t, lines, 2)
	for range 2 {
		samples.Equal(t, flatten(scrape(t, p, body, false)), resumed)
	}
	samples.Equal(t, flatten(fail(p, scrapeTime+1000, true)), markersOf(t, resumed, scrapeTime+1000))
	samples.Equal(t, flatten(scrape(t, p, body, false)), later(t, lines, 4))
	// A new one is as it is.
	newer := ownTime.ReplaceAllStringFunc(body, func(at string) string {
		milliseconds, _ := strconv.ParseInt(at[1:], 10, 64)
		return fmt.Sprint(" ", milliseconds+10_000)
	})
	samples.Equal(t, flatten(scrape(t, p, newer, false)), want(t, newer, false))
	for range 2 {
		scrape(t, p, "", false)
	}
	if len(p.byLine) != 0 || len(p.byHash) != 0 {
		t.Errorf("%d series are still cached", len(p.byLine))
	}
}

// later gives lines whose times of the page's own are by so many milliseconds later.
func later(t *testing.T, lines []string, by int64) []string {
	t.Helper()
	var all []string
	for _, line := range lines {
		series, last, _ := cutLast(line)
		at, err := strconv.ParseInt(last, 10, 64)
		if err != nil {
			t.Fatalf("line %q", line)
		}
		if at != scrapeTime {
			at += by
		}
		all = append(all, fmt.Sprintf("%s %d", series, at))
	}
	return all
}

// A series that one page lacks and the next has again with the same value, or
// with one from between that and the marker.
func TestResumption(t *testing.T) {
	p := newPage(100, nil)
	for i, step := range []struct{ page, want string }{
		{"a 1 1000\nb 1\n", `a 1 1000`},
		{"b 1\n", `a stale 1001`},
		{"a 1 1000\nb 1\n", `a 1 1002`},
		{"a 1 1000\nb 1\n", `a 1 1002`},
		{"a 2 1001\nb 1\n", `a 2 1003`}, // new, and not newer than what was written
		{"a 2 1001\nb 1\n", `a 2 1003`},
		{"a 3 1003\nb 1\n", `a 3 1004`},
		{"a 4 2000\nb 1\n", `a 4 2000`},
		{"a 5 2000\nb 1\n", `a 5 2000`}, // for the store to refuse
		{"a 4 1500\nb 1\n", `a 4 1500`}, // likewise
		{"a 6 3000\nb 1\n", `a 6 3000`},
		{"b 1\n", `a stale 3001`},
		{"b 1\n", ""},
		{"a 7 4000\nb 1\n", `a 7 4000`},
		{"a 8\nb 1\n", fmt.Sprintf("a 8 %d", int64(scrapeTime))},
	} {
		var got string
		for _, line := range flatten(scrape(t, p, step.page, false)) {
			if rest, ok := strings.CutPrefix(line, `{__name__="a"} `); ok {
				got = "a " + rest
			}
		}
		if got != step.want {
			t.Errorf("page %d: %q, want %q", i, got, step.want)
		}
	}
}

// What a page had that broke off was not written, so it says nothing about what is
// at the store.
func TestBrokenPageBehindMarker(t *testing.T) {
	p := newPage(100, nil)
	scrape(t, p, "a 1 1000\n", false)
	for range 3 {
		p.begin(scrapeTime)
		if err := parseAll(p, []byte("a 1 1000\nb{ 1\n"), formatText); err == nil {
			t.Fatal("a broken page was read")
		}
		fail(p, scrapeTime, true)
	}
	got := flatten(scrape(t, p, "a 1 1000\n", false))
	if len(got) != 1 || got[0] <= `{__name__="a"} 1 1001` || got[0] > `{__name__="a"} 1 1009` {
		t.Errorf("%q is not right behind the marker at 1001 or 1002", got)
	}
}

// A page that breaks off at ever new series must neither send nor keep them.
func TestMalformedPageLeavesNothing(t *testing.T) {
	p := newPage(100, nil)
	scrape(t, p, "a 1\n", false)
	for i := range 5 {
		p.begin(scrapeTime)
		err := parseAll(p, fmt.Appendf(nil, "a 2\nnew%d 1\nb{ 1\n", i), formatText)
		if err == nil || !strings.HasPrefix(err.Error(), "line 3 (byte 11): ") {
			t.Fatalf("error %v does not name line 3", err)
		}
		fail(p, scrapeTime, true)
	}
	if len(p.byLine) > 1 {
		t.Errorf("cache grew to %d series", len(p.byLine))
	}
	samples.Equal(t, flatten(scrape(t, p, "a 2\n", false)), []string{`{__name__="a"} 2 1800000000000`})
}

func TestMalformed(t *testing.T) {
	long := `a{b="` + strings.Repeat("x", 1000) + "\n"
	for _, body := range []string{"a 1\n<html>\n", "a\n", "a x\n", "a 1 -5\n", "a 1 1.5\n", "a 1\x00\n", "\x00a 1\n", `a{b="1",b="2"} 1` + "\n", `a{__name__="b"} 1` + "\n", "a{b=\"\xff\"} 1\n", "# TYPE a b\n", long} {
		for _, warm := range []string{"", "a 1\n"} {
			p := newPage(100, nil)
			scrape(t, p, warm, false)
			p.begin(scrapeTime)
			err := parseAll(p, []byte(body), formatText)
			if err == nil {
				t.Errorf("page %q is taken", body)
			} else if len(err.Error()) > 400 {
				t.Errorf("error has %d bytes", len(err.Error()))
			}
		}
	}
}

func TestOddPages(t *testing.T) {
	f := func(name, body string, counts tally, lines ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			p := newPage(4, nil)
			for range 3 {
				got := flatten(scrape(t, p, body, false))
				samples.Equal(t, got, lines)
				if p.tally != counts {
					t.Errorf("tally %+v, want %+v", p.tally, counts)
				}
			}
		})
	}
	at := " 1800000000000"
	f("empty", "", tally{})
	f("blank lines, comments, no newline at the end", "\n \n# c\n#\na 1", tally{samples: 1}, `{__name__="a"} 1`+at)
	f("spaces", "a{ b = \"1\" , }\t1  5 \n", tally{samples: 1}, `{__name__="a", b="1"} 1 5`)
	f("escapes and newline in a value", "a{b=\"x\\\"}\\\\ \n\\n\"} 1\nc 1\n", tally{samples: 2}, `{__name__="a", b="x\"}\\ \n\n"} 1`+at, `{__name__="c"} 1`+at)
	f("quoted name", `{"a.b",c="1"} 1`+"\n", tally{samples: 1}, `{__name__="a.b", c="1"} 1`+at)
	f("special values", "a NaN\nb -Inf\nc 1e3\n", tally{samples: 3}, `{__name__="a"} NaN`+at, `{__name__="b"} -Inf`+at, `{__name__="c"} 1000`+at)
	f("duplicates in two spellings", "a{b=\"1\",c=\"2\"} 1\na{c=\"2\",b=\"1\"} 2\na{b=\"1\",c=\"2\",d=\"\"} 3\n", tally{samples: 3, duplicates: 2}, `{__name__="a", b="1", c="2"} 1`+at)
	f("over the limit", "a 1\nb 1\nc 1\nd 1\ne 1\nf 1\n", tally{samples: 6, overLimit: 2}, `{__name__="a"} 1`+at, `{__name__="b"} 1`+at, `{__name__="c"} 1`+at, `{__name__="d"} 1`+at)
	f("impossible times", "a 1 0\nb 1 9223372036855\nc 1 9223372036854\n", tally{samples: 3, badTimes: 2}, `{__name__="c"} 1 9223372036854`)
	f("type after the sample", "a 1\n# TYPE a counter\n", tally{samples: 1}, `{__name__="a"} 1`+at)
	f("bucket without le", "# TYPE h histogram\nh_bucket 1\nh_bucket{le=\"x\"} 2\nh 3\n", tally{samples: 3}, `{__name__="h"} 3`+at, `{__name__="h_bucket", le="x"} 2`+at, `{__name__="h_bucket"} 1`+at)
	f("no +Inf, unsorted", "# TYPE h histogram\nh_count 3\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"1\"} 1\n", tally{samples: 3},
		`{__name__="h_bucket", le="+Inf"} 3`+at, `{__name__="h_bucket", le="1.0"} 1`+at, `{__name__="h_bucket", le="2.0"} 2`+at, `{__name__="h_count"} 3`+at)
	f("no count", "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\n", tally{samples: 1}, `{__name__="h_bucket", le="+Inf"} 2`+at, `{__name__="h_count"} 2`+at)
	f("falling buckets", "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"2\"} 2\nh_count 3\n", tally{samples: 3},
		`{__name__="h_bucket", le="1.0"} 3`+at, `{__name__="h_bucket", le="2.0"} 2`+at, `{__name__="h_count"} 3`+at)
	f("count other than +Inf", "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_count 3\n", tally{samples: 2}, `{__name__="h_bucket", le="+Inf"} 2`+at, `{__name__="h_count"} 3`+at)
	f("half an observation", "# TYPE h histogram\nh_count 2.5\n", tally{samples: 1}, `{__name__="h_count"} 2.5`+at)
	f("two times", "# TYPE h histogram\nh_count 2 5\nh_sum 2 6\n", tally{samples: 2}, `{__name__="h_count"} 2 5`, `{__name__="h_sum"} 2 6`)
	f("two zeros", "# TYPE h histogram\nh_bucket{le=\"0\"} 1\nh_bucket{le=\"-0\"} 1\nh_count 1\n", tally{samples: 3, duplicates: 1},
		`{__name__="h_bucket", le="+Inf"} 1`+at, `{__name__="h_bucket", le="0.0"} 1`+at, `{__name__="h_count"} 1`+at)
	f("summary without sum", "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_count 3\ns 1\n", tally{samples: 3}, `{__name__="s", quantile="0.5"} NaN`+at, `{__name__="s"} 1`+at, `{__name__="s_count"} 3`+at)
}

// Histogram to parts, to plain series and back: no marker may end a series
// that lives on in another shape.
func TestShapesChange(t *testing.T) {
	bodies := []string{
		"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\nh_count 2\n",
		"# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_sum 2\nh_count 2\n",
		"# TYPE h_bucket counter\nh_bucket{le=\"1.0\"} 1\nh_sum 2\nh_count 2\n",
		"# TYPE h summary\nh_bucket{le=\"1.0\"} 1\nh_sum 2\nh_count 2\n",
	}
	p := newPage(100, nil)
	for _, from := range bodies {
		for _, to := range bodies {
			scrape(t, p, from, false)
			for _, line := range flatten(scrape(t, p, to, false)) {
				if strings.Contains(line, "stale") {
					t.Errorf("from %q to %q: %s", from, to, line)
				}
			}
		}
	}
	// A part alone that goes is marked alone.
	scrape(t, p, bodies[0], false)
	got := flatten(scrape(t, p, strings.Replace(bodies[0], "h_bucket{le=\"1\"} 1\n", "", 1), false))
	samples.Equal(t, got, []string{`{__name__="h_bucket", le="1.0"} stale 1800000000001`, `{__name__="h_count"} 2 1800000000000`, `{__name__="h_sum"} 2 1800000000000`})
}

const openMetricsPage = `# HELP foo Foos.
# TYPE foo counter
# UNIT foo_seconds seconds
foo_total{a="1"} 17 1800000000 # {trace_id="0123456789abcdef0123456789abcdef",span_id="0123456789abcdef"} 0.5 1700000000
foo_created{a="1"} 1700000000.5
# TYPE h histogram
h_bucket{le="1.0"} 1 # {user="u"} 0.7
h_bucket{le="+Inf"} 2
h_count 2
h_sum 3.5
h_created 1700000000
# TYPE i info
i_info{version="1"} 1
# TYPE s stateset
s{s="on"} 1
# TYPE gh gaugehistogram
gh_bucket{le="+Inf"} 4
gh_gcount 4
gh_gsum 5
# TYPE u unknown
u 1
# EOF
`

func TestOpenMetrics(t *testing.T) {
	p := newPage(100, nil)
	for range 3 {
		out := scrape(t, p, openMetricsPage, true)
		samples.Equal(t, flatten(out), want(t, openMetricsPage, true))
		kinds := map[string]string{}
		for _, m := range out.All() {
			kind, _ := m.Metadata().Get(metadataType)
			kinds[m.Name()] = kind.Str()
			switch m.Name() {
			case "foo_total":
				point := m.Sum().DataPoints().At(0)
				e := point.Exemplars().At(0)
				if point.StartTimestamp() != 1700000000500e6 || e.DoubleValue() != 0.5 || e.Timestamp() != 1700000000e9 ||
					e.TraceID().String() != "0123456789abcdef0123456789abcdef" || e.SpanID().String() != "0123456789abcdef" {
					t.Errorf("foo_total begins at %d with exemplar %v of %v at %d", point.StartTimestamp(), e.DoubleValue(), e.TraceID(), e.Timestamp())
				}
			case "h":
				point := m.Histogram().DataPoints().At(0)
				user, _ := point.Exemplars().At(0).FilteredAttributes().Get("user")
				if point.StartTimestamp() != 1700000000e9 || user.Str() != "u" {
					t.Errorf("h begins at %d with exemplar of %q", point.StartTimestamp(), user.Str())
				}
			}
		}
		wantKinds := map[string]string{"foo_total": "counter", "h": "histogram", "i_info": "info", "s": "stateset", "gh_bucket": "unknown", "gh_gcount": "unknown", "gh_gsum": "unknown", "u": "unknown"}
		if d := cmp.Diff(wantKinds, kinds); d != "" {
			t.Errorf("types differ (-want +got):\n%s", d)
		}
	}
	markers := flatten(fail(p, scrapeTime+1000, true))
	if len(markers) != len(want(t, openMetricsPage, true)) {
		t.Errorf("markers %v", markers)
	}
}

// FuzzParse checks that a page that is known means what it meant when it was
// not, and, where no series are put together, what it means to Prometheus' parser.
func FuzzParse(f *testing.F) {
	for _, name := range captures {
		body := string(capture(f, name))
		f.Add(body[:min(len(body), 1000)], false)
		f.Add(body[max(0, len(body)-1000):], false)
	}
	f.Add(openMetricsPage, true)
	f.Add("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 1 5\n", false)
	f.Add("# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_count 3\ns_sum 3\ns 1\ns_bucket{le=\"-0\"} 1", false)
	f.Fuzz(func(t *testing.T, body string, openMetrics bool) {
		whole := func(p *page) error {
			return parseAll(p, []byte(body), map[bool]format{true: formatOpenMetrics}[openMetrics])
		}
		read := func(p *page, parse func(*page) error) ([]string, error) {
			out := pmetric.NewMetricSlice()
			p.begin(scrapeTime)
			if err := parse(p); err != nil {
				return nil, err
			}
			p.sweep()
			writeAll(p, out)
			p.commit(true, false)
			return flatten(out), nil
		}
		p := newPage(1000, nil)
		first, err := read(p, whole)
		if !openMetrics {
			inParts, err2 := read(newPage(1000, nil), func(p *page) error { return parseInParts(p, body, len(body)/3+1) })
			if (err == nil) != (err2 == nil) {
				t.Fatalf("as a whole %v, in parts %v", err, err2)
			}
			samples.Equal(t, inParts, first)
		}
		if err != nil {
			return
		}
		if !openMetrics && !strings.Contains(body, "TYPE") && p.tally.badTimes+p.tally.overLimit == 0 {
			samples.Equal(t, first, want(t, body, false))
		}
		taken := p.tally.samples
		for range 2 {
			next, err := read(p, whole)
			if err != nil {
				t.Fatalf("second time refused: %v", err)
			}
			samples.Equal(t, next, first)
			if p.tally.samples != taken || p.tally.stale != 0 {
				t.Fatalf("second time %+v, first %d samples", p.tally, taken)
			}
		}
		fail(p, scrapeTime+1, true)
		for range 2 {
			scrapeAt(t, p, scrapeTime+2, "", false, true)
		}
		if len(p.byLine)+len(p.byHash) != 0 {
			t.Fatalf("%d series stay after a failure and empty pages", len(p.byLine))
		}
	})
}
