package kubelet

import (
	"slices"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

// write writes what the page said, first to out; whenever a request is full it
// goes on with what next gives, which is when the pipeline may have the full one.
func (p *page) write(out pmetric.MetricSlice, next func() pmetric.MetricSlice) {
	p.next = next
	p.turn(out)
	for _, s := range p.found {
		if s.group == nil {
			p.reserve(1)
			p.put(p.points(s.family), s)
			s.family.left--
		}
	}
	for i := range p.natives {
		p.putNative(&p.natives[i])
	}
	for _, f := range p.grouped {
		p.assemble(f)
	}
	p.mark()
	p.release()
}

// turn begins a request.
func (p *page) turn(out pmetric.MetricSlice) {
	p.out, p.parts = out, nil
	p.request++
	p.room = requestSeries
}

// reserve makes sure that the request has room for n series, or is empty.
func (p *page) reserve(n int) {
	if p.room < n && p.room < requestSeries {
		p.turn(p.next())
	}
	p.room -= n
}

// release lets go of what was written: it is the pipeline's.
func (p *page) release() {
	p.out, p.next, p.parts, p.natives = pmetric.MetricSlice{}, nil, nil, nil
	for _, f := range p.families {
		f.numbers = pmetric.NumberDataPointSlice{}
		f.histograms = pmetric.HistogramDataPointSlice{}
		f.summaries = pmetric.SummaryDataPointSlice{}
		f.natives = pmetric.ExponentialHistogramDataPointSlice{}
	}
}

// points are the data points of a family of numbers in this request.
func (p *page) points(f *family) pmetric.NumberDataPointSlice {
	if f.used == p.request {
		return f.numbers
	}
	m := p.metric(f, f.metric, f.kind)
	if f.kind == model.MetricTypeCounter {
		sum := m.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		f.numbers = sum.DataPoints()
	} else {
		f.numbers = m.SetEmptyGauge().DataPoints()
	}
	f.numbers.EnsureCapacity(min(f.left, p.room+1))
	f.used = p.request
	return f.numbers
}

func (p *page) metric(f *family, name string, kind model.MetricType) pmetric.Metric {
	m := p.out.AppendEmpty()
	m.SetName(name)
	m.SetDescription(f.help)
	m.SetUnit(f.unit)
	if kind == model.MetricTypeGaugeHistogram {
		kind = model.MetricTypeUnknown // its series stand alone
	}
	m.Metadata().PutStr(metadataType, string(kind))
	return m
}

// part is where a member of a group goes that stands alone.
func (p *page) part(s *series) pmetric.NumberDataPointSlice {
	name := s.id.name()
	to, ok := p.parts[name]
	if !ok {
		if p.parts == nil {
			p.parts = map[string]pmetric.NumberDataPointSlice{}
		}
		to = p.metric(s.family, name, model.MetricTypeUnknown).SetEmptyGauge().DataPoints()
		p.parts[name] = to
	}
	return to
}

// put appends s as a data point of its own.
func (p *page) put(to pmetric.NumberDataPointSlice, s *series) pmetric.NumberDataPoint {
	point := to.AppendEmpty()
	point.SetTimestamp(exposition.Timestamp(s.Sent))
	point.SetDoubleValue(s.value)
	attributes(point.Attributes(), s, "")
	if s.exemplars != nil {
		putExemplars(point.Exemplars(), s)
	}
	return point
}

// attributes writes the labels of s but its name and the one named without.
func attributes(to pcommon.Map, s *series, without string) {
	to.EnsureCapacity(len(s.id) - 1)
	for _, handle := range s.id {
		if l := handle.Value(); l.Name != model.MetricNameLabel && l.Name != without {
			to.PutStr(l.Name, l.Value)
		}
	}
}

// mark writes a marker for each vanished series that somebody may still
// believe in.
func (p *page) mark() {
	// In the order of the page a family's are together.
	slices.SortFunc(p.vanished, func(a, b *series) int { return int(a.index - b.index) })
	for _, s := range p.vanished {
		if !s.live {
			continue
		}
		switch {
		case s.group == nil || s.role == roleTotal:
			p.reserve(1)
			p.markNumber(p.points(s.family), s)
		case s.role == roleNative:
			p.markNative(s)
		case s.group.whole && s.group.seen != p.generation:
			p.markGroup(s.group)
		case s.role != roleCreated:
			p.reserve(1)
			p.markNumber(p.part(s), s)
		}
	}
}

func (p *page) markNumber(to pmetric.NumberDataPointSlice, s *series) {
	point := to.AppendEmpty()
	point.SetFlags(noValue)
	point.SetTimestamp(exposition.Timestamp(s.End(s.Marker(p.now))))
	attributes(point.Attributes(), s, "")
	p.tally.stale++
}
