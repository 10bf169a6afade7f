package scrape

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const scrapeTime = 1_800_000_000_000

// want gives the page's samples as Prometheus' parser alone sees them, with a
// target's labels: sorted, the first of each series.
func want(t testing.TB, body, contentType string, target labels.Labels) []string {
	t.Helper()
	parser, err := textparse.New([]byte(body), contentType, nil, textparse.ParserOptions{OpenMetricsSkipSTSeries: true, IgnoreNativeHistograms: true})
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
		b := labels.NewBuilder(l)
		target.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
		if id := b.Labels().WithoutEmpty().String(); !seen[id] {
			seen[id] = true
			lines = append(lines, fmt.Sprintf("%s %v %d", id, v, at))
		}
	}
	slices.Sort(lines)
	return lines
}

// flatten gives metrics as the series that a store has of them, sorted. A
// marker has the value "stale".
func flatten(md pmetric.Metrics) []string {
	f := &flattener{}
	for _, rm := range md.ResourceMetrics().All() {
		f.resource = rm.Resource().Attributes()
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			f.metric(m)
		}
	}
	slices.Sort(f.lines)
	return f.lines
}

type flattener struct {
	resource pcommon.Map
	lines    []string
}

func (f *flattener) metric(m pmetric.Metric) {
	if _, ok := m.Metadata().Get(metadataType); !ok {
		panic(m.Name() + " has no type")
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		f.numbers(m.Name(), m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		f.numbers(m.Name(), m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		f.histograms(m.Name(), m.Histogram().DataPoints())
	case pmetric.MetricTypeSummary:
		f.summaries(m.Name(), m.Summary().DataPoints())
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			f.line(m.Name(), p.Attributes(), "native", fmt.Sprint(p.Scale()), p.Flags().NoRecordedValue(), float64(p.Count()), p.Timestamp())
		}
	}
}

func (f *flattener) line(name string, attrs pcommon.Map, label, bound string, stale bool, v float64, at pcommon.Timestamp) {
	b := labels.NewBuilder(labels.EmptyLabels()).Set(model.MetricNameLabel, name)
	for _, l := range resourceLabels {
		if v, ok := f.resource.Get(l.attribute); ok {
			b.Set(l.label, v.Str())
		}
	}
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

// equal compares without the order, which maps have none of.
func equal(t testing.TB, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return // at once, for long pages
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("series differ (-want +got):\n%s", d)
	}
}

// values takes the times off lines, and the series that describe the scrape.
func values(lines []string) []string {
	var all []string
	for _, line := range lines {
		line = line[:strings.LastIndexByte(line, ' ')]
		if !strings.Contains(line, `__name__="up"`) && !strings.Contains(line, `__name__="scrape_`) {
			all = append(all, line)
		}
	}
	return all
}

// id and stale take a line of flatten apart.
func id(line string) string { return line[:strings.LastIndexByte(line, '}')+1] }

func stale(line string) bool {
	return strings.HasPrefix(line[strings.LastIndexByte(line, '}')+1:], " stale ")
}
