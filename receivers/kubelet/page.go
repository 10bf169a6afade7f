package kubelet

import (
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
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

	seen  uint64 // generation of the last page that had it
	value float64
	exposition.Times
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

// requestSeries is how many series a request may have. A page's metrics take
// ten times the page's bytes, and again with each copy on their way (spool,
// OTLP, compression): they are never there as a whole.
const requestSeries = 1000

// page turns the successive scrapes of one exposition page into metrics. Use
// is begin, then parse and sweep or, if there is nothing to parse, vanish;
// then write and commit. It is not safe for concurrent use.
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
	found  []*series // of this page

	behind, linesBehind int // bytes and lines of this page that were read

	now      int64     // in milliseconds since 1970
	grouped  []*family // that have groups on this page
	natives  []native  // of this page
	vanished []*series
	tally    tally

	// What write writes to: next hands out on and gives the following request's.
	out     pmetric.MetricSlice
	next    func() pmetric.MetricSlice
	request uint64 // counts requests: a family's slices are of one
	room    int    // for series, in this request
	parts   map[string]pmetric.NumberDataPointSlice
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

// begin starts a scrape at now (milliseconds since 1970).
func (p *page) begin(now int64) {
	p.generation++
	p.now = now
	p.cursor = 0
	p.behind, p.linesBehind = 0, 0
	p.found = p.found[:0]
	p.grouped = p.grouped[:0]
	p.natives = nil
	p.vanished = p.vanished[:0]
	p.tally = tally{}
}

// parse reads a part of a page, as reader says. After an error the scrape has
// to be begun again.
func (p *page) parse(part []byte, in format, last bool) (used int, err error) {
	if openMetrics := in == formatOpenMetrics; openMetrics != p.openMetrics {
		p.openMetrics = openMetrics
		p.epoch++
	}
	switch {
	case in == formatText:
		return p.parseText(part, last)
	case !last:
		return 0, nil // read as a whole
	case in == formatOpenMetrics:
		return len(part), p.parseOpenMetrics(part)
	default:
		return len(part), p.parseProtobuf(part)
	}
}

// full says whether the page has as many series as may be taken.
func (p *page) full() bool { return len(p.found) >= p.maxSeries }

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
	case time <= 0 || time > exposition.MaxMilliseconds:
		p.tally.badTimes++
		return
	}
	s.seen, s.value, s.index = p.generation, value, int32(len(p.found))
	s.Take(time, p.now)
	p.found = append(p.found, s)
	if s.group != nil {
		p.gather(s.group)
		return
	}
	s.family.left++
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
	if s.seen == p.generation || s.epoch == p.epoch && s.family.declared == p.generation {
		return
	}
	s.detach()
	p.bind(s.id.all()).attach(s)
}

// sweep finds the series that this page had no more, which write marks.
func (p *page) sweep() {
	if len(p.byLine) == len(p.found) {
		return
	}
	for _, s := range p.byLine {
		if s.seen != p.generation {
			p.vanished = append(p.vanished, s)
		}
	}
}

// vanish has every series marked, for a page that could not be had.
func (p *page) vanish() {
	for _, s := range p.byLine {
		p.vanished = append(p.vanished, s)
	}
}

// commit ends a scrape. taken says whether the pipeline took what it made,
// failed whether the page could not be had.
func (p *page) commit(taken, failed bool) {
	if failed {
		p.commitFailure(taken)
		return
	}
	for _, s := range p.found {
		s.live, s.Ended = true, false // not before: the page might have broken off
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
	p.order, p.found = p.found, p.order
	clear(p.found[:cap(p.found)]) // or it keeps what was forgotten
	clear(p.vanished[:cap(p.vanished)])
	for name, f := range p.families {
		if f.declared != p.generation && len(f.groups) == 0 {
			delete(p.families, name)
		}
	}
}

// commitFailure keeps what was sent until there is a page again, for then the
// values may be the old ones; what was not is forgotten, so that pages that break
// off at ever new series do not grow the cache.
func (p *page) commitFailure(taken bool) {
	for _, s := range p.vanished {
		switch {
		case !s.live && !s.Ended:
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
