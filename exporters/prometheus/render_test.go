package prometheus

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// translate is for tests that translate once.
func translate(md pmetric.Metrics, nowMs int64) *batch {
	return newTranslator().translate(md, nowMs)
}

// render writes points as lines "series value @timestamp", sorted.
func render(points []point) string {
	var lines []string
	for i := range points {
		p := &points[i]
		p.expand(func(s *sample) {
			line := renderLabels(unpacked(p, s))
			switch {
			case s.native != nil && value.IsStaleNaN(s.native.Sum), value.IsStaleNaN(s.value):
				line += " stale"
			case s.native != nil:
				line += " " + s.native.String()
			default:
				line += fmt.Sprintf(" %v", s.value)
			}
			line += fmt.Sprintf(" @%d", p.timestampMs)
			for _, e := range s.exemplars {
				line += fmt.Sprintf(" # %s %v @%d", renderLabels(unpack(e.labels)), e.value, e.timestampMs)
			}
			lines = append(lines, line)
		})
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// unpacked are the labels of one sample of a point.
func unpacked(p *point, s *sample) []label {
	return unpack(p.labels.appendSeries(nil, p.labels.cut(p.extraLabel()), p.family.name, s))
}

func unpack(p packed) []label {
	var out []label
	for len(p) > 0 {
		var name, value []byte
		name, value, p = p.next()
		out = append(out, label{string(name), string(value)})
	}
	return out
}

func hasDuplicates(sorted []label) bool {
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Name == sorted[i-1].Name {
			return true
		}
	}
	return false
}

func renderLabels(ls []label) string {
	var b strings.Builder
	name := ""
	for _, l := range ls {
		if l.Name == nameLabel {
			name = l.Value
			continue
		}
		fmt.Fprintf(&b, ",%s=%q", l.Name, l.Value)
	}
	return name + "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

// resourceMetrics appends a resource with attributes "key=value".
func resourceMetrics(md pmetric.Metrics, attributes ...string) pmetric.MetricSlice {
	rm := md.ResourceMetrics().AppendEmpty()
	put(rm.Resource().Attributes(), attributes...)
	return rm.ScopeMetrics().AppendEmpty().Metrics()
}

func put(m pcommon.Map, attributes ...string) {
	for _, a := range attributes {
		k, v, _ := strings.Cut(a, "=")
		m.PutStr(k, v)
	}
}

func at(ms int64) pcommon.Timestamp { return pcommon.Timestamp(ms * 1e6) }

func addGauge(ms pmetric.MetricSlice, name, unit string, v float64, tsMs int64, attributes ...string) pmetric.NumberDataPoint {
	m := ms.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
	dp.SetDoubleValue(v)
	dp.SetTimestamp(at(tsMs))
	put(dp.Attributes(), attributes...)
	return dp
}

func addCounter(ms pmetric.MetricSlice, name, unit string, v int64, tsMs int64, attributes ...string) pmetric.NumberDataPoint {
	m := ms.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := sum.DataPoints().AppendEmpty()
	dp.SetIntValue(v)
	dp.SetTimestamp(at(tsMs))
	put(dp.Attributes(), attributes...)
	return dp
}

func addHistogram(ms pmetric.MetricSlice, name, unit string, bounds []float64, counts []uint64, sum float64, tsMs int64, attributes ...string) pmetric.HistogramDataPoint {
	m := ms.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := h.DataPoints().AppendEmpty()
	dp.ExplicitBounds().FromRaw(bounds)
	dp.BucketCounts().FromRaw(counts)
	var n uint64
	for _, c := range counts {
		n += c
	}
	dp.SetCount(n)
	dp.SetSum(sum)
	dp.SetTimestamp(at(tsMs))
	put(dp.Attributes(), attributes...)
	return dp
}

func addNative(ms pmetric.MetricSlice, name, unit string, scale, offset int32, counts []uint64, sum float64, tsMs int64, attributes ...string) pmetric.ExponentialHistogramDataPoint {
	m := ms.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	h := m.SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := h.DataPoints().AppendEmpty()
	dp.SetScale(scale)
	dp.Positive().SetOffset(offset)
	dp.Positive().BucketCounts().FromRaw(counts)
	var n uint64
	for _, c := range counts {
		n += c
	}
	dp.SetCount(n)
	dp.SetSum(sum)
	dp.SetTimestamp(at(tsMs))
	put(dp.Attributes(), attributes...)
	return dp
}

// exposition marks the last metric as one from a Prometheus exposition.
func exposition(ms pmetric.MetricSlice, typ string) {
	ms.At(ms.Len()-1).Metadata().PutStr(typeMetadata, typ)
}

// cadvisorPage reads a kubelet's real page the way its receiver hands it on:
// one metric per family, the page's timestamps moved so that the newest is now.
func cadvisorPage(tb testing.TB, now time.Time) pmetric.Metrics {
	tb.Helper()
	page, err := os.ReadFile("testdata/metrics-cadvisor.txt")
	if err != nil {
		tb.Fatal(err)
	}
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=kubelet", "service.instance.id=10.0.0.1:10250", "url.path=/metrics/cadvisor",
		"k8s.node.name=node-1", "k8s.cluster.name=lab")
	parser := textparse.NewPromParser(page, labels.NewSymbolTable(), false)
	types, helps := map[string]string{}, map[string]string{}
	families := map[string]pmetric.Metric{}
	var newest int64
	for {
		entry, err := parser.Next()
		if err != nil {
			break
		}
		switch entry {
		case textparse.EntryType:
			name, typ := parser.Type()
			types[string(name)] = string(typ)
		case textparse.EntryHelp:
			name, help := parser.Help()
			helps[string(name)] = string(help)
		case textparse.EntrySeries:
			var ls labels.Labels
			parser.Labels(&ls)
			_, ts, v := parser.Series()
			newest = max(newest, addSeries(ms, families, types, helps, ls, ts, v))
		}
	}
	shiftTimestamps(md, now.UnixMilli()-newest)
	return md
}

func addSeries(ms pmetric.MetricSlice, families map[string]pmetric.Metric, types, helps map[string]string, ls labels.Labels, ts *int64, v float64) int64 {
	name := ls.Get(nameLabel)
	m, known := families[name]
	if !known {
		m = ms.AppendEmpty()
		m.SetName(name)
		m.SetDescription(helps[name])
		m.Metadata().PutStr(typeMetadata, types[name])
		if types[name] == "counter" {
			m.SetEmptySum().SetIsMonotonic(true)
			m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		} else {
			m.SetEmptyGauge()
		}
		families[name] = m
	}
	var dp pmetric.NumberDataPoint
	if m.Type() == pmetric.MetricTypeSum {
		dp = m.Sum().DataPoints().AppendEmpty()
	} else {
		dp = m.Gauge().DataPoints().AppendEmpty()
	}
	dp.SetDoubleValue(v)
	ls.Range(func(l labels.Label) {
		if l.Name != nameLabel {
			dp.Attributes().PutStr(l.Name, l.Value)
		}
	})
	if ts == nil {
		return 0
	}
	dp.SetTimestamp(at(*ts))
	return *ts
}

func shiftTimestamps(md pmetric.Metrics, byMs int64) {
	eachNumber(md, func(_ pmetric.Metric, dp pmetric.NumberDataPoint) {
		if dp.Timestamp() != 0 {
			dp.SetTimestamp(dp.Timestamp() + pcommon.Timestamp(byMs*1e6))
		} else {
			dp.SetTimestamp(at(time.Now().UnixMilli()))
		}
	})
}

func eachNumber(md pmetric.Metrics, f func(pmetric.Metric, pmetric.NumberDataPoint)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				points := pmetric.NewNumberDataPointSlice()
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					points = m.Gauge().DataPoints()
				case pmetric.MetricTypeSum:
					points = m.Sum().DataPoints()
				}
				for _, dp := range points.All() {
					f(m, dp)
				}
			}
		}
	}
}
