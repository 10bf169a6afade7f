package scrape

import (
	"slices"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

// tally says what one page held.
type tally struct {
	samples     int // lines with a value
	kept        int // of them, left by relabelling
	duplicates  int // of them, further ones of a series that the page already had
	badTimes    int // of them, with a time that nanoseconds since 1970 cannot hold
	unsupported int // of them, native histograms that OTLP cannot hold
	added       int // series that the last page did not have
	stale       int // markers made
}

// rules are what is done to each series of a page.
type rules struct {
	place  labels.Labels // target labels that are on the resource
	mutate func(labels.Labels) labels.Labels
	limits limits
}

// page turns the successive scrapes of one target into metrics. Use is begin,
// then parse and sweep or, if there is nothing to parse, vanish; then commit.
// It is not safe for concurrent use.
type page struct {
	rules  rules
	memory *budget
	held   int64 // bytes taken from memory

	byRaw    map[string]*series
	byID     map[uint64]*series
	families map[string]*family
	metrics  map[metricKey]*metric
	groups   map[uint64]*group

	generation uint64 // counts scrapes
	now        int64  // in milliseconds since 1970
	out        [places]pmetric.MetricSlice
	current    *family
	next       []*series // of this page
	present    []*group  // of this page
	vanished   []*series
	tally      tally
	builder    labels.ScratchBuilder
}

// budget is a bound in bytes that many share.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take says whether n bytes were left.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

func newPage(r rules, memory *budget) *page {
	p := &page{rules: r, memory: memory}
	p.clear()
	return p
}

func (p *page) clear() {
	p.byRaw = map[string]*series{}
	p.byID = map[uint64]*series{}
	p.families = map[string]*family{}
	p.metrics = map[metricKey]*metric{}
	p.groups = map[uint64]*group{}
}

// change makes new rules hold. What is live stays known by its labels, so that
// series which the new rules do not make get their markers, and no others.
func (p *page) change(r rules) {
	p.rules = r
	p.reread()
}

// reread forgets how lines look, so that each is understood anew.
func (p *page) reread() {
	for _, s := range p.byRaw {
		if s.dropped {
			p.release(int64(s.bytes()))
		}
	}
	clear(p.byRaw)
}

// close gives back what the page held.
func (p *page) close() {
	p.memory.give(p.held)
	p.held = 0
	p.clear()
}

func (p *page) release(n int64) {
	p.memory.give(n)
	p.held -= n
}

// begin starts a scrape at now (milliseconds since 1970) that writes to out,
// by place.
func (p *page) begin(now int64, out [places]pmetric.MetricSlice) {
	p.generation++
	p.now, p.out = now, out
	p.current = nil
	p.next, p.present, p.vanished = p.next[:0], p.present[:0], p.vanished[:0]
	p.tally = tally{}
}

// sample takes a value of a series; what else is known of it the caller sets.
// It says whether the series had none before on this page.
func (p *page) sample(s *series, value float64, time int64) bool {
	p.tally.kept++
	switch {
	case s.seen == p.generation:
		p.tally.duplicates++
		return false
	case time <= 0 || time > exposition.MaxMilliseconds:
		p.tally.badTimes++
		return false
	}
	if !s.live {
		p.tally.added++
	}
	s.seen, s.value = p.generation, value
	s.Take(time, p.now)
	s.start, s.exemplars = 0, nil
	p.next = append(p.next, s)
	return true
}

// sweep marks the series that this page had no more.
func (p *page) sweep() {
	if len(p.byID) == len(p.next) {
		return
	}
	for _, s := range p.byID {
		if s.seen != p.generation {
			p.vanished = append(p.vanished, s)
		}
	}
	p.mark()
}

// vanish marks every series, for a page that could not be had.
func (p *page) vanish() {
	for _, s := range p.byID {
		p.vanished = append(p.vanished, s)
	}
	p.mark()
}

// mark writes a marker for each vanished series that somebody may still
// believe in.
func (p *page) mark() {
	for _, s := range p.vanished {
		switch {
		case !s.live:
		case s.group != nil && s.group.whole && s.group.seen != p.generation:
			p.markGroup(s.group)
		default:
			p.markAlone(s)
		}
	}
}

// commit ends a scrape. taken says whether the pipeline took what it made,
// failed whether the page could not be had.
func (p *page) commit(taken, failed bool) {
	p.letGo()
	if failed {
		p.commitFailure(taken)
		return
	}
	for _, s := range p.next {
		s.live, s.Ended = true, false // not before: the page might have broken off
		s.exemplars = nil
	}
	for _, s := range p.vanished {
		switch {
		case !s.live:
			p.forget(s)
		case taken && s.Own:
			s.live = false // should the next page have it again, Times has to know
		case taken:
			p.forget(s)
		}
	}
	for raw, s := range p.byRaw {
		if s.dropped && s.seen != p.generation {
			delete(p.byRaw, raw)
			p.release(int64(s.bytes()))
		}
	}
	p.forgetNames()
	clear(p.vanished[:cap(p.vanished)])
	clear(p.next[:cap(p.next)])
	clear(p.present[:cap(p.present)])
}

// commitFailure keeps what was live for the next scrapes, so that after a
// target's restart the page is still known; what was not is forgotten, so that
// pages that break off at ever new series do not grow the cache.
func (p *page) commitFailure(taken bool) {
	for _, s := range p.vanished {
		switch {
		case s.live && taken:
			s.live = false
		case !s.live && s.seen+maxFailures < p.generation || s.Read == 0:
			p.forget(s)
		}
	}
	for raw, s := range p.byRaw {
		if s.dropped && s.seen+maxFailures < p.generation {
			delete(p.byRaw, raw)
			p.release(int64(s.bytes()))
		}
	}
}

// maxFailures is for how many failed scrapes in a row the page is remembered.
const maxFailures = 5

// letGo drops the references to what was handed on: it is the pipeline's now.
func (p *page) letGo() {
	p.out = [places]pmetric.MetricSlice{}
	for _, m := range p.metrics {
		m.numbers, m.histograms = [places]pmetric.NumberDataPointSlice{}, [places]pmetric.HistogramDataPointSlice{}
		m.summaries, m.natives = [places]pmetric.SummaryDataPointSlice{}, [places]pmetric.ExponentialHistogramDataPointSlice{}
		m.made = [places]uint64{}
	}
}

// forgetNames lets go of declarations and metrics that nothing bears any more.
func (p *page) forgetNames() {
	for name, f := range p.families {
		if f.seen != p.generation {
			delete(p.families, name)
		}
	}
	for key, m := range p.metrics {
		if m.used+1 < p.generation {
			delete(p.metrics, key)
		}
	}
}

func (p *page) forget(s *series) {
	if p.byID[s.hash] != s {
		return
	}
	delete(p.byID, s.hash)
	if p.byRaw[s.raw] == s {
		delete(p.byRaw, s.raw)
	}
	p.release(int64(s.bytes()))
	p.detach(s)
}

// detach takes a series out of its group, and the group out of the page with
// its last one.
func (p *page) detach(s *series) {
	g := s.group
	if g == nil {
		return
	}
	s.group = nil
	g.bounds = slices.DeleteFunc(g.bounds, func(b *series) bool { return b == s })
	if g.sum == s {
		g.sum = nil
	}
	if g.count == s {
		g.count = nil
	}
	if len(g.bounds) == 0 && g.sum == nil && g.count == nil && p.groups[g.hash] == g {
		delete(p.groups, g.hash)
	}
}

// attach makes a series stand where the declarations of this page put it.
func (p *page) attach(s *series) {
	p.detach(s)
	s.metric, s.role = nil, roleNumber
	if p.current == nil {
		return
	}
	r, label, bound, ok := p.current.member(s.id)
	if !ok {
		return
	}
	g := p.group(s, label)
	if g == nil {
		return
	}
	switch {
	case r == roleSum && g.sum == nil:
		g.sum = s
	case r == roleCount && g.count == nil:
		g.count = s
	case r == roleBound:
		at, twice := slices.BinarySearchFunc(g.bounds, bound, func(b *series, to float64) int { return compare(b.bound, to) })
		if twice {
			return
		}
		g.bounds = slices.Insert(g.bounds, at, s)
	default:
		return
	}
	s.group, s.role, s.bound = g, r, bound
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// primeOfHashes keeps apart what two hashes joined by exclusive or would mix.
const primeOfHashes = 1099511628211

// group finds or makes the one that s belongs to; nil if another has its hash.
func (p *page) group(s *series, without string) *group {
	f := p.current
	p.builder.Reset()
	s.id.Range(func(l labels.Label) {
		if l.Name != without && l.Name != model.MetricNameLabel {
			p.builder.Add(l.Name, l.Value)
		}
	})
	id := p.builder.Labels()
	shape := shapeHistogram
	if f.kind == model.MetricTypeSummary {
		shape = shapeSummary
	}
	// Not by the builder: what it gave once it gives again until it is reset.
	hash := id.Hash()*primeOfHashes ^ xxhash.Sum64String(f.name) ^ uint64(s.place)<<8 ^ uint64(shape)
	if g := p.groups[hash]; g != nil {
		if g.metric.name != f.name || g.metric.shape != shape || g.place != s.place || !labels.Equal(g.id, id) {
			return nil
		}
		return g
	}
	g := &group{metric: p.metric(f.name, shape), id: id, hash: hash, place: s.place}
	p.groups[hash] = g
	return g
}

// metric finds or makes one, as the page declares it.
func (p *page) metric(name string, shape shape) *metric {
	m := p.metrics[metricKey{name, shape}]
	if m == nil {
		m = &metric{name: name, shape: shape, kind: model.MetricTypeUnknown}
		p.metrics[metricKey{name, shape}] = m
		p.describe(m)
	}
	m.used = p.generation
	return m
}

// describe copies what the page declares of the metric's family.
func (p *page) describe(m *metric) {
	f := p.current
	if f == nil {
		return
	}
	switch {
	case m.shape == shapeNumber && f.owns(m.name), m.shape != shapeNumber && f.name == m.name:
		m.kind, m.help, m.unit = f.kind, f.help, f.unit
	}
}
