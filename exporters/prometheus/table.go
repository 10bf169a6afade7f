package prometheus

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	// reasonSeriesLimit: the series table is at max_bytes.
	reasonSeriesLimit = "series_limit"
	// reasonTypeConflict: a name that is already a histogram is a number now, or
	// the like; one page cannot show both.
	reasonTypeConflict = "type_conflict"

	// metadataInterval is how often type, help and unit of a family are sent
	// again with remote write v1, which has no place for them beside a series.
	metadataInterval = time.Minute
)

// table knows every series by its last point: for the page to scrape, and for
// stale markers of histograms, whose data points without a value do not name
// their buckets.
// Its size is bounded in (estimated) bytes.
type table struct {
	maxBytes    int64
	expireAfter time.Duration
	// waits: there is a store that has to be told of series that ended.
	waits bool

	mu       sync.Mutex // guards all below, and the entries
	symbols  symbols
	entries  map[identity]*entry
	families map[string]*tableFamily
	origins  map[uint64]*origin
	bytes    int64  // without the symbols'
	series   int    // of the entries that are not stale
	batches  uint32 // the number of the last batch
}

type tableFamily struct {
	family
	shape      shape
	entries    []*entry
	metadataAt time.Time // last given to a sender
	edges      []float64 // of the last new entry: most have the same
	// conflicting: what of the family's description was told differently.
	conflicting conflicts
}

// conflicts tells which parts of a description differ from the first one's.
type conflicts struct{ typ, help bool }

// newTable keeps a series for two of its intervals without a sample, and for no
// longer than expireAfter.
func newTable(maxBytes int64, expireAfter time.Duration) *table {
	return &table{
		maxBytes: maxBytes, expireAfter: expireAfter,
		symbols:  newSymbols(),
		entries:  make(map[identity]*entry),
		families: make(map[string]*tableFamily),
		origins:  make(map[uint64]*origin),
	}
}

// changes is what a batch meant for the table.
type changes struct {
	metadata []*family // due to be sent
	// typed and helped had another type or help before; each is told once.
	typed, helped []*family
}

// update takes a batch in, so that taking it twice is like once. It completes
// stale points, adds stale points for buckets and quantiles that are gone, orders
// the points of a series by time, gives each its round, sets refused on those
// that found no place, and makes points share the family that came first with
// their name.
func (t *table) update(b *batch, now time.Time) changes {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches++
	var c changes
	var last *family
	disordered := false
	for i := range len(b.points) { // not those that are added meanwhile
		p := &b.points[i]
		e := t.entries[p.id]
		if e != nil {
			if p.derived && p.timestampMs <= e.timestampMs {
				p.skip = true
			}
			disordered = disordered || e.batch == t.batches && p.timestampMs < e.timestampMs
		}
		told := p.family
		f, gone := t.takeLocked(e, p, now)
		if gone != nil {
			b.points = append(b.points, *gone)
		}
		if f == nil || told == last {
			continue
		}
		last = told
		t.describeLocked(f, told, now, &c)
	}
	if disordered {
		t.reorderLocked(b.points)
	}
	t.turnPagesLocked(b.pages)
	return c
}

// describeLocked compares a family with what a batch tells of it.
func (t *table) describeLocked(f *tableFamily, told *family, now time.Time, c *changes) {
	if now.Sub(f.metadataAt) >= metadataInterval {
		f.metadataAt = now
		c.metadata = append(c.metadata, &f.family)
	}
	if told.typ != f.typ && !f.conflicting.typ {
		f.conflicting.typ = true
		c.typed = append(c.typed, told)
	}
	if told.help != f.help && told.help != "" && !f.conflicting.help {
		f.conflicting.help = true
		c.helped = append(c.helped, told)
	}
}

// reorderLocked sorts by time and numbers the rounds anew.
func (t *table) reorderLocked(points []point) {
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.timestampMs, b.timestampMs) })
	t.batches++
	for i := range points {
		if e := t.entries[points[i].id]; e != nil {
			points[i].round = t.roundLocked(e)
		}
	}
}

func (t *table) roundLocked(e *entry) int32 {
	if e.batch != t.batches {
		e.batch, e.rounds = t.batches, 0
	} else {
		e.rounds++
	}
	return e.rounds
}

// takeLocked puts p into e, its entry, or makes one. It returns the family, nil
// if p has no place, and a stale point for series that p has no more.
func (t *table) takeLocked(e *entry, p *point, now time.Time) (f *tableFamily, gone *point) {
	if e == nil {
		if p.stale {
			return nil, nil // of a series that was never seen, or is long gone
		}
		return t.insertLocked(p, now), nil
	}
	if e.family.shape != shapeOf(p.kind) {
		p.refused = reasonTypeConflict
		return nil, nil
	}
	if grown := p.detail.bytes() - e.detail.bytes(); grown > 0 && t.sizeLocked()+grown > t.maxBytes {
		p.refused = reasonSeriesLimit
		return nil, nil
	}
	p.family = &e.family.family
	p.round = t.roundLocked(e)
	if p.stale {
		e.complete(p)
	}
	if p.timestampMs >= e.timestampMs {
		gone = e.goneBy(p)
		t.replaceLocked(e, p, now)
	}
	e.seenMs = now.UnixMilli()
	t.placeLocked(e, p.origin)
	return e.family, gone
}

func (t *table) insertLocked(p *point, now time.Time) *tableFamily {
	size := entryBytes + int64(len(p.labels)+2*p.labels.len()*symbolBytes) + p.detail.bytes()
	if t.sizeLocked()+size > t.maxBytes {
		p.refused = reasonSeriesLimit
		return nil
	}
	f := t.families[p.family.name]
	if f == nil {
		f = &tableFamily{family: *p.family, shape: shapeOf(p.kind)}
		t.families[f.name] = f
	} else if f.shape != shapeOf(p.kind) {
		p.refused = reasonTypeConflict
		return nil
	}
	p.family = &f.family
	e := &entry{id: p.id, family: f, labels: t.symbols.pack(p.labels), index: int32(len(f.entries)), batch: t.batches, seenMs: now.UnixMilli()}
	e.set(p)
	f.shareEdges(e.detail)
	f.entries = append(f.entries, e)
	t.entries[p.id] = e
	t.placeLocked(e, p.origin)
	t.bytes += e.bytes()
	t.series += e.seriesCount()
	return f
}

// shareEdges keeps equal bounds once.
func (f *tableFamily) shareEdges(d *detail) {
	if d == nil || len(d.edges) == 0 {
		return
	}
	if slices.Equal(d.edges, f.edges) {
		d.edges = f.edges
	} else {
		f.edges = d.edges
	}
}

// replaceLocked makes p the last point of e; what identifies e stays.
func (t *table) replaceLocked(e *entry, p *point, now time.Time) {
	if !e.stale {
		t.series -= e.seriesCount()
	}
	t.bytes -= e.bytes()
	if p.timestampMs > e.timestampMs {
		e.learnInterval(p.timestampMs, now.UnixMilli())
	}
	e.set(p)
	e.family.shareEdges(e.detail)
	t.bytes += e.bytes()
	if !e.stale {
		t.series += e.seriesCount()
	}
}

// expire forgets series that are overdue, and gives the markers of up to most of
// those that their page has no more. The table is locked for one family at a time.
func (t *table) expire(now time.Time, most int) (markers []point) {
	for _, name := range t.familyNames() {
		markers = t.expireFamily(name, now.UnixMilli(), most, markers)
	}
	return markers
}

func (t *table) expireFamily(name string, nowMs int64, most int, markers []point) []point {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.families[name]
	if f == nil {
		return markers
	}
	for i := len(f.entries) - 1; i >= 0; i-- {
		e := f.entries[i]
		if !e.overdue(nowMs, t.expireAfter) {
			continue
		}
		gone := t.waits && e.gone()
		switch {
		case gone && len(markers) < most:
			markers = append(markers, t.markerLocked(e))
			t.removeLocked(e)
		case gone, t.waitsLocked(e, nowMs):
			t.silenceLocked(e)
		default:
			t.removeLocked(e)
		}
	}
	return markers
}

func (t *table) removeLocked(e *entry) {
	if !e.stale {
		t.series -= e.seriesCount()
	}
	t.bytes -= e.bytes()
	t.symbols.release(e.labels)
	t.placeLocked(e, 0)
	delete(t.entries, e.id)
	f := e.family
	last := f.entries[len(f.entries)-1]
	f.entries[e.index], last.index = last, e.index
	f.entries[len(f.entries)-1] = nil
	f.entries = f.entries[:len(f.entries)-1]
	if len(f.entries) == 0 {
		delete(t.families, f.name)
	}
	e.family = nil // a page that is being written knows by it
}

func (t *table) familyNames() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := make([]string, 0, len(t.families))
	for name := range t.families {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t *table) sizeLocked() int64 { return t.bytes + t.symbols.bytes }

// size returns the number of live series and the estimated bytes of the table.
func (t *table) size() (series int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.series, t.sizeLocked()
}
