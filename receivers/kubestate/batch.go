package kubestate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	// batchPoints is how many points a batch has before it is sent; the last
	// object's may go beyond it.
	batchPoints = 8192

	job      = "kube-state-metrics"
	metaType = "prometheus.type"
	scope    = "github.com/crowsnest-o11y/crowsnest/receivers/kubestate"
)

// batch is what is sent at once.
type batch struct {
	metrics pmetric.Metrics
	out     pmetric.MetricSlice
	time    pcommon.Timestamp
	columns map[*kind][]pmetric.NumberDataPointSlice // by family; the zero value where there is none yet
	made    map[*kind][]bool
	points  int
	stale   int
	flights []flight
	scratch map[state]struct{}
}

// flight are the entries of a store that a batch has.
type flight struct {
	store *store
	slots []int
}

func (b *batch) begin(now pcommon.Timestamp) {
	b.metrics = pmetric.NewMetrics()
	rm := b.metrics.ResourceMetrics().AppendEmpty()
	resource := rm.Resource().Attributes()
	resource.PutStr("service.name", job)
	// Whoever tells of an object, it is the same series.
	resource.PutStr("service.instance.id", job)
	// The objects' node is a label of theirs; ours is none of their business.
	resource.PutStr("k8s.node.name", "")
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(scope)
	b.out = sm.Metrics()
	b.time, b.points, b.stale, b.flights = now, 0, 0, b.flights[:0]
	b.columns, b.made = map[*kind][]pmetric.NumberDataPointSlice{}, map[*kind][]bool{}
	if b.scratch == nil {
		b.scratch = map[state]struct{}{}
	}
}

// release lets go of what was sent, which is as large as all that is kept of a node.
func (b *batch) release() {
	b.metrics, b.out = pmetric.Metrics{}, pmetric.MetricSlice{}
	b.columns, b.made = nil, nil
}

// fill adds objects from a slot on until the batch is full or the store at its
// end, and returns the slot to go on with.
func (b *batch) fill(s *store, from int) (next int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var slots []int
	i := from
	for ; i < len(s.slots) && b.points < batchPoints; i++ {
		e := &s.slots[i]
		if e.key == "" {
			continue
		}
		b.entry(s.kind, e)
		e.pending, e.flying = e.current, true
		slots = append(slots, i)
	}
	if len(slots) > 0 {
		b.flights = append(b.flights, flight{s, slots})
	}
	return i, i < len(s.slots)
}

// settle notes what became of the batch.
func (b *batch) settle(taken bool) {
	for _, f := range b.flights {
		f.store.settle(f.slots, taken)
	}
}

// entry adds the points of an object, and a marker for each series that it had
// when it was sent last and has no more.
func (b *batch) entry(k *kind, e *entry) {
	if e.current != "" {
		for u := e.current.unpack(k); u.next(); {
			b.point(&u).SetDoubleValue(u.value)
		}
	}
	if e.sent != "" && e.sent != e.current {
		b.mark(k, e)
	}
}

var noValue = pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)

func (b *batch) mark(k *kind, e *entry) {
	clear(b.scratch)
	was := e.sent.unpack(k)
	if e.current != "" {
		// An object of the same name and another identity (its uid) shares no series.
		is := e.current.unpack(k)
		for same := is.identity.packed == was.identity.packed; same && is.next(); {
			b.scratch[is.series] = struct{}{}
		}
	}
	for was.next() {
		if _, ok := b.scratch[was.series]; !ok {
			b.point(&was).SetFlags(noValue)
			b.stale++
		}
	}
}

// point adds a point with its labels and without a value.
func (b *batch) point(u *unpacker) pmetric.NumberDataPoint {
	point := b.column(u.kind, u.family).AppendEmpty()
	point.SetTimestamp(b.time)
	attributes := point.Attributes()
	attributes.EnsureCapacity(int(u.identity.n + u.labels.n))
	// Names are unique within a point by the tables of families, so that
	// PutStr's search for an earlier one is short but for nothing.
	u.identity.each(attributes.PutStr)
	u.labels.each(attributes.PutStr)
	b.points++
	return point
}

// column gives the points of a family.
func (b *batch) column(k *kind, family int) pmetric.NumberDataPointSlice {
	columns, ok := b.columns[k]
	if !ok {
		columns = make([]pmetric.NumberDataPointSlice, len(k.families))
		b.columns[k], b.made[k] = columns, make([]bool, len(k.families))
	}
	if made := b.made[k]; !made[family] {
		made[family] = true
		columns[family] = b.metric(&k.families[family])
	}
	return columns[family]
}

func (b *batch) metric(d *description) pmetric.NumberDataPointSlice {
	m := b.out.AppendEmpty()
	m.SetName(d.name)
	m.SetDescription(d.help)
	typ := d.typ
	if typ == gauge {
		typ = "gauge"
	}
	m.Metadata().PutStr(metaType, typ)
	if typ != counter {
		return m.SetEmptyGauge().DataPoints()
	}
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	return sum.DataPoints()
}
