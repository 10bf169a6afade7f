package kubelet

import (
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

// assemble makes data points of the groups of a family that the page has.
func (p *page) assemble(f *family) {
	switch f.kind {
	case model.MetricTypeHistogram:
		p.assembleHistograms(f)
	case model.MetricTypeSummary:
		p.assembleSummaries(f)
	default:
		p.assembleCounters(f)
	}
}

func (p *page) assembleHistograms(f *family) {
	for _, g := range f.present {
		count, ok := p.histogramCount(g)
		if g.whole = ok; !ok {
			p.scatterGroup(g)
			continue
		}
		p.reserve(len(g.bounds) + 2)
		p.putHistogram(p.histograms(f).AppendEmpty(), g, count)
	}
}

// histograms are the data points of a family of histograms in this request.
func (p *page) histograms(f *family) pmetric.HistogramDataPointSlice {
	if f.composed != p.request {
		f.composed = p.request
		h := p.metric(f, f.metric, f.kind).SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		f.histograms = h.DataPoints()
	}
	return f.histograms
}

// summaries are the data points of a family of summaries in this request.
func (p *page) summaries(f *family) pmetric.SummaryDataPointSlice {
	if f.composed != p.request {
		f.composed = p.request
		f.summaries = p.metric(f, f.metric, f.kind).SetEmptySummary().DataPoints()
	}
	return f.summaries
}

// has says whether this page has the member.
func (p *page) has(s *series) bool { return s != nil && s.seen == p.generation }

// histogramCount gives the number of observations, and whether the group's
// series agree so that a Histogram point says the same as they do.
func (p *page) histogramCount(g *group) (uint64, bool) {
	if !p.together(g) {
		return 0, false
	}
	last, infinite := 0.0, false
	for _, s := range g.bounds {
		if !p.has(s) {
			continue
		}
		if s.value < last || !isCount(s.value) {
			return 0, false
		}
		last, infinite = s.value, math.IsInf(s.bound, 1)
	}
	switch {
	case p.has(g.count):
		agree := isCount(g.count.value) && g.count.value >= last && (!infinite || g.count.value == last)
		return uint64(max(g.count.value, 0)), agree
	case infinite:
		return uint64(last), true
	}
	return 0, false
}

// isCount says whether a number can be a count of which float64 loses nothing.
func isCount(v float64) bool { return v >= 0 && v <= 1<<53 && v == math.Trunc(v) }

// together says whether all series of the group bear one time.
func (p *page) together(g *group) bool {
	time, same := int64(0), true
	p.members(g, func(s *series) {
		if time == 0 {
			time = s.Sent
		}
		same = same && time == s.Sent
	})
	return same
}

// members calls f with each member on this page that is a series at the store.
func (p *page) members(g *group, f func(*series)) {
	for _, s := range g.bounds {
		if p.has(s) {
			f(s)
		}
	}
	for _, s := range [...]*series{g.sum, g.count, g.total} {
		if p.has(s) {
			f(s)
		}
	}
}

func (p *page) putHistogram(to pmetric.HistogramDataPoint, g *group, count uint64) {
	to.SetCount(count)
	to.SetStartTimestamp(p.start(g))
	if p.has(g.sum) {
		to.SetSum(g.sum.value)
	}
	counts, bounds := to.BucketCounts(), to.ExplicitBounds()
	counts.EnsureCapacity(len(g.bounds) + 1)
	bounds.EnsureCapacity(len(g.bounds))
	var one *series
	below := uint64(0)
	p.members(g, func(s *series) {
		one = s
		if s.role != roleBound {
			return
		}
		putExemplars(to.Exemplars(), s)
		if math.IsInf(s.bound, 1) {
			return
		}
		bounds.Append(s.bound)
		counts.Append(uint64(s.value) - below)
		below = uint64(s.value)
	})
	if len(g.bounds) > 0 {
		counts.Append(count - below)
	}
	to.SetTimestamp(exposition.Timestamp(one.Sent))
	attributes(to.Attributes(), one, g.label())
}

// label is the one by which the group's members differ.
func (g *group) label() string {
	if g.family.kind == model.MetricTypeSummary {
		return "quantile"
	}
	return labels.BucketLabel
}

func (p *page) assembleSummaries(f *family) {
	for _, g := range f.present {
		g.whole = p.has(g.sum) && p.has(g.count) && isCount(g.count.value) && p.together(g)
		if !g.whole {
			p.scatterGroup(g)
			continue
		}
		p.reserve(len(g.bounds) + 2)
		p.putSummary(p.summaries(f).AppendEmpty(), g)
	}
}

func (p *page) putSummary(to pmetric.SummaryDataPoint, g *group) {
	to.SetCount(uint64(g.count.value))
	to.SetSum(g.sum.value)
	to.SetStartTimestamp(p.start(g))
	to.SetTimestamp(exposition.Timestamp(g.count.Sent))
	for _, s := range g.bounds {
		if p.has(s) {
			q := to.QuantileValues().AppendEmpty()
			q.SetQuantile(s.bound)
			q.SetValue(s.value)
		}
	}
	attributes(to.Attributes(), g.count, "")
}

// assembleCounters joins OpenMetrics' _total with its _created.
func (p *page) assembleCounters(f *family) {
	for _, g := range f.present {
		if p.has(g.total) {
			p.reserve(1)
			p.put(p.points(f), g.total).SetStartTimestamp(p.start(g))
		}
	}
}

// start is the time since which the group counts, if the page tells.
func (p *page) start(g *group) pcommon.Timestamp {
	if !p.has(g.created) {
		return 0
	}
	seconds := g.created.value
	if !(seconds > 0 && seconds < math.MaxInt64/1e9) {
		return 0
	}
	return exposition.Timestamp(int64(seconds * 1e3))
}

// scatterGroup sends on the series of a group one by one.
func (p *page) scatterGroup(g *group) {
	p.members(g, func(s *series) {
		p.reserve(1)
		p.put(p.part(s), s)
	})
}

// markGroup writes the one marker of a group that is gone as a whole. A
// histogram's bears the bounds, without which its buckets could not be named.
func (p *page) markGroup(g *group) {
	if g.marked == p.generation {
		return
	}
	g.marked = p.generation
	p.tally.stale++
	p.reserve(len(g.bounds) + 2)
	if g.family.kind == model.MetricTypeSummary {
		p.markSummary(p.summaries(g.family).AppendEmpty(), g)
		return
	}
	p.markHistogram(p.histograms(g.family).AppendEmpty(), g)
}

var noValue = pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)

func (p *page) markHistogram(to pmetric.HistogramDataPoint, g *group) {
	to.SetFlags(noValue)
	for _, s := range g.bounds {
		if !math.IsInf(s.bound, 1) {
			to.ExplicitBounds().Append(s.bound)
		}
	}
	to.BucketCounts().FromRaw(make([]uint64, to.ExplicitBounds().Len()+1))
	one, time := p.endOf(g)
	to.SetTimestamp(exposition.Timestamp(time))
	attributes(to.Attributes(), one, g.label())
}

func (p *page) markSummary(to pmetric.SummaryDataPoint, g *group) {
	to.SetFlags(noValue)
	for _, s := range g.bounds {
		to.QuantileValues().AppendEmpty().SetQuantile(s.bound)
	}
	one, time := p.endOf(g)
	to.SetTimestamp(exposition.Timestamp(time))
	attributes(to.Attributes(), one, g.label())
}

// endOf ends all of a group, and gives a member of it and its marker's time.
func (p *page) endOf(g *group) (one *series, time int64) {
	all := append([]*series{g.sum, g.count, g.total, g.created}, g.bounds...)
	for _, s := range all {
		if s != nil {
			one, time = s, max(time, s.Marker(p.now))
		}
	}
	for _, s := range all {
		if s != nil {
			s.End(time)
		}
	}
	return one, time
}

// putExemplars hands a series' exemplars on.
func putExemplars(to pmetric.ExemplarSlice, s *series) {
	exposition.PutExemplars(to, s.exemplars, s.Read)
	s.exemplars = nil
}
