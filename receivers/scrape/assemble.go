package scrape

import (
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

var noValue = pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)

// open makes the metric's slice under a place for this page, and says whether
// it had been made already.
func (p *page) open(m *metric, at place) (to pmetric.Metric, fresh bool) {
	if m.made[at] == p.generation {
		return pmetric.Metric{}, false
	}
	m.made[at], m.used = p.generation, p.generation
	p.metrics[metricKey{m.name, m.shape}] = m
	to = p.out[at].AppendEmpty()
	to.SetName(m.name)
	to.SetDescription(m.help)
	to.SetUnit(m.unit)
	kind := m.kind
	if kind == model.MetricTypeGaugeHistogram || m.shape == shapeNumber && (kind == model.MetricTypeHistogram || kind == model.MetricTypeSummary) {
		kind = model.MetricTypeUnknown // its series stand alone
	}
	to.Metadata().PutStr(metadataType, string(kind))
	return to, true
}

func (p *page) numbers(m *metric, at place) pmetric.NumberDataPointSlice {
	to, fresh := p.open(m, at)
	if !fresh {
		return m.numbers[at]
	}
	if m.kind == model.MetricTypeCounter {
		sum := to.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		m.numbers[at] = sum.DataPoints()
	} else {
		m.numbers[at] = to.SetEmptyGauge().DataPoints()
	}
	return m.numbers[at]
}

func (p *page) histograms(m *metric, at place) pmetric.HistogramDataPointSlice {
	if to, fresh := p.open(m, at); fresh {
		h := to.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		m.histograms[at] = h.DataPoints()
	}
	return m.histograms[at]
}

func (p *page) summaries(m *metric, at place) pmetric.SummaryDataPointSlice {
	if to, fresh := p.open(m, at); fresh {
		m.summaries[at] = to.SetEmptySummary().DataPoints()
	}
	return m.summaries[at]
}

// alone is the metric of a series that is sent as a number.
func (p *page) alone(s *series) *metric {
	if s.metric == nil || s.metric.shape != shapeNumber {
		s.metric = p.metric(s.id.Get(model.MetricNameLabel), shapeNumber)
	}
	return s.metric
}

// putNumber sends a series on its own.
func (p *page) putNumber(s *series) {
	point := p.numbers(p.alone(s), s.place).AppendEmpty()
	point.SetTimestamp(exposition.Timestamp(s.Sent))
	point.SetStartTimestamp(exposition.Timestamp(s.start))
	point.SetDoubleValue(s.value)
	attributes(point.Attributes(), s.id)
	exposition.PutExemplars(point.Exemplars(), s.exemplars, s.Read)
}

// attributes writes the labels but the name.
func attributes(to pcommon.Map, id labels.Labels) {
	to.EnsureCapacity(id.Len())
	id.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			to.PutStr(l.Name, l.Value)
		}
	})
}

// assemble makes data points of the groups that the page has.
func (p *page) assemble() {
	for _, g := range p.present {
		composed := p.composedHistogram
		if g.metric.shape == shapeSummary {
			composed = p.composedSummary
		}
		if g.whole = composed(g); !g.whole {
			p.members(g, p.putNumber)
		}
	}
}

// has says whether this page has the member.
func (p *page) has(s *series) bool { return s != nil && s.seen == p.generation }

// members calls f with each member that this page has.
func (p *page) members(g *group, f func(*series)) {
	for _, s := range g.bounds {
		if p.has(s) {
			f(s)
		}
	}
	if p.has(g.sum) {
		f(g.sum)
	}
	if p.has(g.count) {
		f(g.count)
	}
}

// isCount says whether a number can be a count of which float64 loses nothing.
func isCount(v float64) bool { return v >= 0 && v <= 1<<53 && v == math.Trunc(v) }

// together says whether all series of the group bear one time.
func (p *page) together(g *group) bool {
	same := true
	p.members(g, func(s *series) { same = same && s.Sent == g.count.Sent })
	return same
}

// composes says whether a Histogram point says the same as the group's series:
// a store makes +Inf and _count of every one.
func (p *page) composes(g *group) bool {
	if !p.has(g.count) || !isCount(g.count.value) || !p.together(g) {
		return false
	}
	last, infinite := 0.0, false
	for _, s := range g.bounds {
		if !p.has(s) {
			continue
		}
		if s.value < last || !isCount(s.value) {
			return false
		}
		last, infinite = s.value, math.IsInf(s.bound, 1)
	}
	return infinite && last == g.count.value
}

func (p *page) composedHistogram(g *group) bool {
	if !p.composes(g) {
		return false
	}
	to := p.histograms(g.metric, g.place).AppendEmpty()
	to.SetCount(uint64(g.count.value))
	to.SetTimestamp(exposition.Timestamp(g.count.Sent))
	to.SetStartTimestamp(exposition.Timestamp(g.count.start))
	if p.has(g.sum) {
		to.SetSum(g.sum.value)
	}
	counts, bounds := to.BucketCounts(), to.ExplicitBounds()
	counts.EnsureCapacity(len(g.bounds))
	bounds.EnsureCapacity(len(g.bounds))
	below := uint64(0)
	for _, s := range g.bounds {
		if !p.has(s) {
			continue
		}
		exposition.PutExemplars(to.Exemplars(), s.exemplars, s.Read)
		if !math.IsInf(s.bound, 1) {
			bounds.Append(s.bound)
		}
		counts.Append(uint64(s.value) - below)
		below = uint64(s.value)
	}
	attributes(to.Attributes(), g.id)
	return true
}

func (p *page) composedSummary(g *group) bool {
	if !p.has(g.sum) || !p.has(g.count) || !isCount(g.count.value) || !p.together(g) {
		return false
	}
	to := p.summaries(g.metric, g.place).AppendEmpty()
	to.SetCount(uint64(g.count.value))
	to.SetSum(g.sum.value)
	to.SetTimestamp(exposition.Timestamp(g.count.Sent))
	to.SetStartTimestamp(exposition.Timestamp(g.count.start))
	for _, s := range g.bounds {
		if p.has(s) {
			q := to.QuantileValues().AppendEmpty()
			q.SetQuantile(s.bound)
			q.SetValue(s.value)
		}
	}
	attributes(to.Attributes(), g.id)
	return true
}

// markAlone writes the marker of a series by itself.
func (p *page) markAlone(s *series) {
	p.tally.stale++
	at := exposition.Timestamp(s.End(s.Marker(p.now)))
	if s.role == roleNative {
		to := p.natives(s.metric, s.place).AppendEmpty()
		to.SetFlags(noValue)
		to.SetTimestamp(at)
		attributes(to.Attributes(), s.id)
		return
	}
	to := p.numbers(p.alone(s), s.place).AppendEmpty()
	to.SetFlags(noValue)
	to.SetTimestamp(at)
	attributes(to.Attributes(), s.id)
}

// markGroup writes the one marker of a group that is gone as a whole. It bears
// the bounds, without which the buckets could not be named.
func (p *page) markGroup(g *group) {
	if g.marked == p.generation {
		return
	}
	g.marked = p.generation
	p.tally.stale++
	time := p.endAll(g)
	if g.metric.shape == shapeSummary {
		to := p.summaries(g.metric, g.place).AppendEmpty()
		to.SetFlags(noValue)
		to.SetTimestamp(exposition.Timestamp(time))
		for _, s := range g.bounds {
			to.QuantileValues().AppendEmpty().SetQuantile(s.bound)
		}
		attributes(to.Attributes(), g.id)
		return
	}
	to := p.histograms(g.metric, g.place).AppendEmpty()
	to.SetFlags(noValue)
	to.SetTimestamp(exposition.Timestamp(time))
	for _, s := range g.bounds {
		if !math.IsInf(s.bound, 1) {
			to.ExplicitBounds().Append(s.bound)
		}
	}
	to.BucketCounts().FromRaw(make([]uint64, to.ExplicitBounds().Len()+1))
	attributes(to.Attributes(), g.id)
}

// endAll ends the series of a group and gives the time of their marker.
func (p *page) endAll(g *group) (time int64) {
	all := append([]*series{g.sum, g.count}, g.bounds...)
	for _, s := range all {
		if s != nil {
			time = max(time, s.Marker(p.now))
		}
	}
	for _, s := range all {
		if s != nil {
			s.End(time)
		}
	}
	return time
}
