package kubelet

import (
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// series is one line of the page as it is remembered between scrapes.
type series struct {
	id     identity // without empty labels, le and quantile in normal form
	hash   uint64   // of id
	line   uint64   // hash of the line up to its value, as last written
	length int32    // of that part of the line, in bytes
	index  int32    // in the last page that had it

	role   role
	live   bool    // has been sent, and no marker was taken since
	bound  float64 // of a bucket or quantile
	family *family
	group  *group // nil for a series that is a data point of its own
	epoch  uint64 // page.epoch at which role, bound, family and group were found

	seen      uint64 // generation of the last page that had it
	value     float64
	time      int64 // of the last value, in milliseconds since 1970
	exemplars []exemplar.Exemplar
}

// tally says what one page held.
type tally struct {
	samples    int // lines with a value
	filtered   int // of them, such as keep and drop leave out
	duplicates int // of them, further ones of a series that the page already had
	overLimit  int // of them, beyond maxSeries
	badTimes   int // of them, with a time that nanoseconds since 1970 cannot hold
	unfit      int // of them, native histograms with too many buckets or none that could be
	stale      int // markers made
}

// page turns the successive scrapes of one exposition page into metrics. Use
// is begin, then parse and sweep or, if there is nothing to parse, vanish;
// then commit. It is not safe for concurrent use.
type page struct {
	maxSeries int
	filter    *filter // nil: every series goes on

	// seed is of the hashes of lines. A line is known by its hash alone, for
	// the lines themselves would be half of the cache. That two of 10^5 lines
	// share one has a probability of 10^-9, and nobody who writes lines can
	// look for such a pair, as he does not know the seed.
	seed     maphash.Seed
	byLine   map[uint64]*series
	byHash   map[uint64]*series
	families map[string]*family

	// generation counts scrapes. What a page declares holds for that page
	// only, and is known by bearing its generation.
	generation uint64
	// epoch counts changes in what the page's declarations mean; a series
	// found under another epoch finds its family anew.
	epoch       uint64
	openMetrics bool

	order  []*series // of the last page, in its order
	cursor int       // the place in order where the next line is expected
	next   []*series // of this page

	now      int64 // in milliseconds since 1970
	out      pmetric.MetricSlice
	grouped  []*family // that have groups on this page
	parts    map[string]pmetric.NumberDataPointSlice
	vanished []*series
	tally    tally
}

func newPage(maxSeries int, f *filter) *page {
	return &page{
		maxSeries: maxSeries,
		filter:    f,
		seed:      maphash.MakeSeed(),
		byLine:    map[uint64]*series{},
		byHash:    map[uint64]*series{},
		families:  map[string]*family{},
	}
}

// begin starts a scrape at now (milliseconds since 1970) that writes to out.
func (p *page) begin(now int64, out pmetric.MetricSlice) {
	p.generation++
	p.now, p.out = now, out
	p.cursor = 0
	p.next = p.next[:0]
	p.grouped = p.grouped[:0]
	p.vanished = p.vanished[:0]
	p.parts = nil
	p.tally = tally{}
}

// parse reads a whole page. After an error out holds rubbish, and the scrape
// has to be begun again.
func (p *page) parse(body []byte, in format) error {
	if openMetrics := in == formatOpenMetrics; openMetrics != p.openMetrics {
		p.openMetrics = openMetrics
		p.epoch++
	}
	read := p.parseText
	switch in {
	case formatOpenMetrics:
		read = p.parseOpenMetrics
	case formatProtobuf:
		read = p.parseProtobuf
	}
	if err := read(body); err != nil {
		return err
	}
	for _, f := range p.grouped {
		p.assemble(f)
	}
	return nil
}

// full says whether the page has as many series as may be taken.
func (p *page) full() bool { return len(p.next) >= p.maxSeries }

// sample takes one line of the page.
func (p *page) sample(s *series, value float64, time int64) {
	p.tally.samples++
	switch {
	case s.seen == p.generation:
		p.tally.duplicates++
		return
	case p.full():
		p.tally.overLimit++
		return
	case time <= 0 || time > maxMilliseconds:
		p.tally.badTimes++
		return
	}
	s.seen, s.value, s.time, s.index = p.generation, value, time, int32(len(p.next))
	p.next = append(p.next, s)
	if s.group != nil {
		p.gather(s.group)
		return
	}
	p.put(p.points(s.family), s)
	s.family.size++
}

// put appends s as a data point of its own.
func (p *page) put(to pmetric.NumberDataPointSlice, s *series) pmetric.NumberDataPoint {
	point := to.AppendEmpty()
	point.SetTimestamp(timestamp(s.time))
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

// timestamp turns milliseconds since 1970 into pdata's nanoseconds.
func timestamp(milliseconds int64) pcommon.Timestamp {
	return pcommon.Timestamp(milliseconds * 1e6)
}

// intern finds or makes the series of a line not seen in this form before.
func (p *page) intern(raw []byte, id labels.Labels) (*series, error) {
	if name, twice := id.HasDuplicateLabelNames(); twice {
		return nil, fmt.Errorf("label %q is there twice", name)
	}
	id = id.WithoutEmpty()
	if id.Get(model.MetricNameLabel) == "" {
		return nil, errors.New("series has no name")
	}
	b := p.bind(id)
	id = b.normal(id)
	hash := id.Hash()
	if old := p.byHash[hash]; old != nil && old.id.is(id) {
		p.respell(old, raw)
		return old, nil
	}
	s := &series{line: p.hash(raw), length: int32(len(raw)), id: identityOf(id), hash: hash}
	b.attach(s)
	p.byLine[s.line] = s
	p.byHash[hash] = s
	return s, nil
}

// respell makes raw the one spelling by which s is known; one, so that a page
// that writes its labels in ever new orders does not grow the cache.
func (p *page) respell(s *series, raw []byte) {
	if s.seen == p.generation {
		return // a duplicate; the first one's spelling stays
	}
	delete(p.byLine, s.line)
	s.line, s.length = p.hash(raw), int32(len(raw))
	p.byLine[s.line] = s
}

func (p *page) hash(raw []byte) uint64 { return maphash.Bytes(p.seed, raw) }

// current makes sure that s stands in the family that this page declares.
func (p *page) current(s *series) {
	if s.epoch == p.epoch && s.family.declared == p.generation {
		return
	}
	s.detach()
	p.bind(s.id.all()).attach(s)
}

// sweep marks the series that this page had no more.
func (p *page) sweep() {
	if len(p.byLine) == len(p.next) {
		return
	}
	for _, s := range p.byLine {
		if s.seen != p.generation {
			p.vanished = append(p.vanished, s)
		}
	}
	p.mark()
}

// vanish marks every series, for a page that could not be had.
func (p *page) vanish() {
	for _, s := range p.byLine {
		p.vanished = append(p.vanished, s)
	}
	p.mark()
}

// mark writes a marker for each vanished series that somebody may still
// believe in.
func (p *page) mark() {
	for _, s := range p.vanished {
		if !s.live {
			continue
		}
		switch {
		case s.group == nil:
			p.markNumber(p.points(s.family), s)
		case s.role == roleNative:
			p.markNative(s)
		case s.role == roleTotal:
			p.markNumber(p.points(s.family), s)
		case s.group.whole && s.group.seen != p.generation:
			p.markGroup(s.group)
		case s.role != roleCreated:
			p.markNumber(p.part(s), s)
		}
	}
}

func (p *page) markNumber(to pmetric.NumberDataPointSlice, s *series) {
	point := to.AppendEmpty()
	point.SetFlags(noValue)
	point.SetTimestamp(timestamp(p.markTime(s)))
	attributes(point.Attributes(), s, "")
	p.tally.stale++
}

// markTime is the scrape's time, but after the last value: a page's own
// timestamps may be ahead of this node's clock, and a marker that a store
// refuses as out of order marks nothing.
func (p *page) markTime(s *series) int64 { return max(p.now, s.time+1) }

// commit ends a scrape. taken says whether the pipeline took what it made,
// failed whether the page could not be had.
func (p *page) commit(taken, failed bool) {
	if failed {
		p.commitFailure(taken)
		return
	}
	for _, s := range p.next {
		s.live = true
	}
	for _, s := range p.vanished {
		if taken || !s.live {
			p.forget(s)
		}
	}
	p.order, p.next = p.next, p.order
	clear(p.next[:cap(p.next)]) // or it keeps what was forgotten
	clear(p.vanished[:cap(p.vanished)])
	for name, f := range p.families {
		if f.declared != p.generation && len(f.groups) == 0 {
			delete(p.families, name)
		}
	}
}

// release lets go of what was handed on: it is the pipeline's now.
func (p *page) release() {
	p.out, p.parts = pmetric.MetricSlice{}, nil
	for _, f := range p.families {
		f.numbers = pmetric.NumberDataPointSlice{}
		f.histograms = pmetric.HistogramDataPointSlice{}
		f.summaries = pmetric.SummaryDataPointSlice{}
		f.natives = pmetric.ExponentialHistogramDataPointSlice{}
	}
}

// commitFailure keeps what was live for one more scrape, so that after a
// kubelet's restart the page is still known; what was not is forgotten, so
// that pages that break off at ever new series do not grow the cache.
func (p *page) commitFailure(taken bool) {
	for _, s := range p.vanished {
		switch {
		case !s.live:
			p.forget(s)
			p.order = p.order[:0] // it may hold s
		case taken:
			s.live = false
		}
	}
}

func (p *page) forget(s *series) {
	s.detach()
	delete(p.byLine, s.line)
	if p.byHash[s.hash] == s {
		delete(p.byHash, s.hash)
	}
}
