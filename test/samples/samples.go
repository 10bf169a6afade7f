// Package samples gives metrics as the samples that a Prometheus has of them, so
// that tests of receivers can compare what was read with what is sent on.
//
// A sample is a line `{__name__="up", job="x"} 1 1800000000000`: labels, value,
// milliseconds since 1970. A stale marker has the value "stale".
package samples

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// OfPage gives the samples of a page as Prometheus' parser sees them, all with
// the target's labels: sorted, the first of each series, without empty labels,
// at the time nowMs where the page says none.
func OfPage(t testing.TB, page, contentType string, nowMs int64, target labels.Labels) []string {
	t.Helper()
	parser, err := textparse.New([]byte(page), contentType, nil, textparse.ParserOptions{OpenMetricsSkipSTSeries: true, IgnoreNativeHistograms: true})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	seen := map[string]bool{}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("Prometheus does not understand the page: %v", err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var l labels.Labels
		parser.Labels(&l)
		_, ts, v := parser.Series()
		at := nowMs
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

// Of gives the samples of metrics, all with the target's labels, sorted. An
// exponential histogram is one sample: its count, with its scale as label "native".
func Of(metrics pmetric.MetricSlice, target labels.Labels) []string {
	l := &list{target: target}
	for _, m := range metrics.All() {
		switch m.Type() {
		case pmetric.MetricTypeGauge:
			l.numbers(m.Name(), m.Gauge().DataPoints())
		case pmetric.MetricTypeSum:
			l.numbers(m.Name(), m.Sum().DataPoints())
		case pmetric.MetricTypeHistogram:
			l.histograms(m.Name(), m.Histogram().DataPoints())
		case pmetric.MetricTypeSummary:
			l.summaries(m.Name(), m.Summary().DataPoints())
		case pmetric.MetricTypeExponentialHistogram:
			for _, p := range m.ExponentialHistogram().DataPoints().All() {
				l.add(m.Name(), p, "native", fmt.Sprint(p.Scale()), float64(p.Count()))
			}
		}
	}
	slices.Sort(l.lines)
	return l.lines
}

type list struct {
	target labels.Labels
	lines  []string
}

// point is what data points of all types have.
type point interface {
	Attributes() pcommon.Map
	Flags() pmetric.DataPointFlags
	Timestamp() pcommon.Timestamp
}

func (l *list) add(name string, p point, label, bound string, v float64) {
	b := labels.NewBuilder(l.target).Set(model.MetricNameLabel, name)
	for k, v := range p.Attributes().All() {
		b.Set(k, v.Str())
	}
	if label != "" {
		b.Set(label, bound)
	}
	text := fmt.Sprint(v)
	if p.Flags().NoRecordedValue() {
		text = "stale"
	}
	l.lines = append(l.lines, fmt.Sprintf("%s %s %d", b.Labels(), text, p.Timestamp().AsTime().UnixMilli()))
}

func (l *list) numbers(name string, points pmetric.NumberDataPointSlice) {
	for _, p := range points.All() {
		l.add(name, p, "", "", p.DoubleValue())
	}
}

func (l *list) histograms(name string, points pmetric.HistogramDataPointSlice) {
	for _, p := range points.All() {
		sum := uint64(0)
		for i, n := range p.BucketCounts().All() {
			bound := math.Inf(1)
			if i < p.ExplicitBounds().Len() {
				bound = p.ExplicitBounds().At(i)
			}
			sum += n
			l.add(name+"_bucket", p, "le", labels.FormatOpenMetricsFloat(bound), float64(sum))
		}
		l.add(name+"_count", p, "", "", float64(p.Count()))
		if p.HasSum() || p.Flags().NoRecordedValue() {
			l.add(name+"_sum", p, "", "", p.Sum())
		}
	}
}

func (l *list) summaries(name string, points pmetric.SummaryDataPointSlice) {
	for _, p := range points.All() {
		for _, q := range p.QuantileValues().All() {
			l.add(name, p, "quantile", labels.FormatOpenMetricsFloat(q.Quantile()), q.Value())
		}
		l.add(name+"_count", p, "", "", float64(p.Count()))
		l.add(name+"_sum", p, "", "", p.Sum())
	}
}

// Equal reports the samples in which two sorted lists differ.
func Equal(t testing.TB, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return // at once, for long pages
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("samples differ (-want +got):\n%s", d)
	}
}
