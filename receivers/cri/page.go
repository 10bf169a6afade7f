package cri

import (
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

// kind is the type of a family.
type kind int

const (
	gauge kind = iota
	counter
)

func (k kind) String() string {
	if k == counter {
		return "counter"
	}
	return "gauge"
}

// label is a pair; one with an empty value is left out.
type label struct{ name, value string }

// series is one that was sent, as much as is needed to mark its end.
type series struct {
	key    string
	name   string
	kind   kind
	labels []label
	exposition.Times
}

// page gathers the samples of scrapes, and marks the end of series that one had
// and the next has not. Of one goroutine.
type page struct {
	maxSeries int

	out      pmetric.MetricSlice
	now      pcommon.Timestamp
	families map[string]pmetric.Metric
	current  map[string]*series
	previous map[string]*series // sent before and not marked as ended
	ended    map[string]*series // with times of their own, marked as ended by the last page or since
	owners   map[owner]source
	key      []byte // of the series that is looked up

	overLimit int
	stale     int
}

// owner is what one source tells whole: a family of one container or pod.
type owner struct{ name, id string }

// source is where a sample is from. What came first has a family.
type source int

func newPage(maxSeries int) *page {
	return &page{maxSeries: maxSeries, previous: map[string]*series{}, ended: map[string]*series{}}
}

// begin starts a scrape that writes to out.
func (p *page) begin(now time.Time, out pmetric.MetricSlice) {
	p.out, p.now = out, pcommon.NewTimestampFromTime(now)
	p.families = make(map[string]pmetric.Metric, 64)
	p.current = make(map[string]*series, len(p.previous))
	p.owners = map[owner]source{}
	p.overLimit, p.stale = 0, 0
}

// sample is one value.
type sample struct {
	name   string
	help   string
	kind   kind
	at     int64 // ns since 1970, 0 for now
	value  float64
	labels []label // the caller's
}

// add takes a sample. A second one of the same series is ignored.
func (p *page) add(s sample) {
	p.key = appendKey(p.key[:0], s.name, s.labels)
	if _, known := p.current[string(p.key)]; known {
		return
	}
	if len(p.current) >= p.maxSeries {
		p.overLimit++
		return
	}
	entry := p.known()
	if entry == nil {
		entry = &series{key: string(p.key), name: s.name, kind: s.kind, labels: slices.Clone(s.labels)}
	}
	entry.Take(p.millisecond(s.at), p.millisecond(0))
	p.current[entry.key] = entry
	point := p.point(s.name, s.help, s.kind, s.labels)
	point.SetDoubleValue(s.value)
	if entry.Own {
		point.SetTimestamp(exposition.Timestamp(entry.Sent))
	}
}

// millisecond is a sample's time in milliseconds since 1970, which is what stores
// tell apart.
func (p *page) millisecond(at int64) int64 {
	if at == 0 {
		at = int64(p.now)
	}
	return at / int64(time.Millisecond)
}

// known is the series of the key, if it was there before.
func (p *page) known() *series {
	if s := p.previous[string(p.key)]; s != nil {
		return s
	}
	return p.ended[string(p.key)]
}

// addOwned is add for a family of one container or pod, which only the source
// that came first may tell.
func (p *page) addOwned(from source, id string, s sample) {
	o := owner{s.name, id}
	if first, owned := p.owners[o]; owned && first != from {
		return
	}
	p.owners[o] = from
	p.add(s)
}

func appendKey(key []byte, name string, labels []label) []byte {
	key = append(key, name...)
	for _, l := range labels {
		if l.value != "" {
			key = append(append(key, 0), l.name...)
			key = append(append(key, 0), l.value...)
		}
	}
	return key
}

func (p *page) point(name, help string, k kind, labels []label) pmetric.NumberDataPoint {
	point := p.points(name, help, k).AppendEmpty()
	point.SetTimestamp(p.now)
	attributes := point.Attributes()
	filled := 0
	for _, l := range labels {
		if l.value != "" {
			filled++
		}
	}
	attributes.EnsureCapacity(filled)
	for _, l := range labels {
		if l.value != "" {
			attributes.PutStr(l.name, l.value)
		}
	}
	return point
}

// points are those of a family, which is as its first sample says.
func (p *page) points(name, help string, k kind) pmetric.NumberDataPointSlice {
	m, known := p.families[name]
	if !known {
		m = p.out.AppendEmpty()
		m.SetName(name)
		m.SetDescription(help)
		m.Metadata().PutStr("prometheus.type", k.String())
		if k == counter {
			sum := m.SetEmptySum()
			sum.SetIsMonotonic(true)
			sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		} else {
			m.SetEmptyGauge()
		}
		p.families[name] = m
	}
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints()
	}
	return m.Gauge().DataPoints()
}

// sweep marks the end of what was there before and is not now.
func (p *page) sweep() {
	for key, s := range p.previous {
		if _, there := p.current[key]; there {
			continue
		}
		point := p.point(s.name, "", s.kind, s.labels)
		point.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
		point.SetTimestamp(exposition.Timestamp(s.End(s.Marker(p.millisecond(0)))))
		p.stale++
	}
}

// commit ends a scrape. If its samples were not taken, ends are marked again, and
// what was new is not known to anybody: so a pipeline that takes nothing for
// hours costs no memory, however many containers come and go.
//
// Series that ended stay known for one page more, should that have their samples
// again, and for as long as there is none.
func (p *page) commit(taken, failed bool) {
	if taken {
		p.remember(failed)
	}
	p.out, p.families, p.current, p.owners = pmetric.MetricSlice{}, nil, nil, nil
}

func (p *page) remember(failed bool) {
	if !failed {
		clear(p.ended)
	}
	for key, s := range p.previous {
		if s.Own && s.Ended && p.current[key] == nil {
			p.ended[key] = s
		}
	}
	for _, s := range p.current {
		s.Ended = false
	}
	p.previous = p.current
}
