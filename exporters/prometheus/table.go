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
	// reasonTypeConflict: another metric of that name has another type.
	reasonTypeConflict = "type_conflict"

	// entryBytes estimates an entry without its labels and buckets: the entry,
	// its place in the map and in its family.
	entryBytes = 400
	labelBytes = 32
	// metadataInterval is how often type, help and unit of a family are sent
	// again with remote write v1, which has no place for them beside a series.
	metadataInterval = time.Minute
)

// table knows every series by its last point: for the page to scrape, for stale
// markers of series whose source said nothing at its end, and for stale markers
// of histograms, whose data points without a value do not name their buckets.
// Its size is bounded in (estimated) bytes.
type table struct {
	maxBytes int64

	mu       sync.Mutex // guards all below, and the entries
	byHash   map[uint64]*entry
	families map[string]*tableFamily
	bytes    int64
	series   int    // of the entries that are not stale
	batches  uint64 // the number of the last batch
}

type tableFamily struct {
	family
	entries    []*entry
	metadataAt time.Time // last given to a sender
}

// entry is the last point of one identity (the labels without le and quantile).
// A stale entry is kept until it expires: it still knows its buckets if the
// stale point comes again, and an older sample that is late does not revive it.
type entry struct {
	point
	family   *tableFamily
	index    int    // in family.entries
	next     *entry // of the same hash
	lastSeen time.Time
	bytes    int64
	batch    uint64 // the last batch it was in
	rounds   int32  // points of it in that batch, less one
}

func newTable(maxBytes int64) *table {
	return &table{
		maxBytes: maxBytes,
		byHash:   make(map[uint64]*entry),
		families: make(map[string]*tableFamily),
	}
}

// update takes a batch in, so that taking it twice is like once. It completes
// stale points, orders the points of a series by time, gives each its round, sets
// refused on those that found no place, and makes points share the family that
// came first with their name. It returns the families whose metadata is due.
func (t *table) update(points []point, now time.Time) (metadata []*family) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches++
	disordered := false
	for i := range points {
		p := &points[i]
		e := t.findLocked(p)
		if p.derived && e != nil && p.timestampMs <= e.timestampMs {
			p.skip = true
		}
		if e != nil && e.batch == t.batches && p.timestampMs < e.timestampMs {
			disordered = true
		}
		f := t.takeLocked(e, p, now)
		if f != nil && now.Sub(f.metadataAt) >= metadataInterval {
			f.metadataAt = now
			metadata = append(metadata, &f.family)
		}
	}
	if disordered {
		t.reorderLocked(points)
	}
	return metadata
}

// reorderLocked sorts by time and numbers the rounds anew.
func (t *table) reorderLocked(points []point) {
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.timestampMs, b.timestampMs) })
	t.batches++
	for i := range points {
		if e := t.findLocked(&points[i]); e != nil {
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
// if p has no place.
func (t *table) takeLocked(e *entry, p *point, now time.Time) *tableFamily {
	if e == nil {
		if p.stale {
			return nil // of a series that was never seen, or is long gone
		}
		return t.insertLocked(p, now)
	}
	if e.family.typ != p.family.typ {
		p.refused = reasonTypeConflict
		return nil
	}
	if grown := sizeOf(p) - e.bytes; grown > 0 && t.bytes+grown > t.maxBytes {
		p.refused = reasonSeriesLimit
		return nil
	}
	p.family = &e.family.family
	p.round = t.roundLocked(e)
	e.lastSeen = now
	if p.stale {
		p.complete(&e.point)
	}
	if p.timestampMs >= e.timestampMs {
		t.replaceLocked(e, p)
	}
	return e.family
}

func (t *table) insertLocked(p *point, now time.Time) *tableFamily {
	size := sizeOf(p)
	if t.bytes+size > t.maxBytes {
		p.refused = reasonSeriesLimit
		return nil
	}
	f := t.families[p.family.name]
	if f == nil {
		f = &tableFamily{family: *p.family}
		t.families[f.name] = f
	} else if f.typ != p.family.typ {
		p.refused = reasonTypeConflict
		return nil
	}
	p.family = &f.family
	e := &entry{point: *p, family: f, index: len(f.entries), lastSeen: now, bytes: size, batch: t.batches}
	e.labels = slices.Clone(p.labels) // p's are part of a larger slice
	f.entries = append(f.entries, e)
	e.next = t.byHash[p.hash]
	t.byHash[p.hash] = e
	t.bytes += size
	t.series += p.seriesCount()
	return f
}

// replaceLocked makes p the last point of e; what identifies e stays.
func (t *table) replaceLocked(e *entry, p *point) {
	if !e.stale {
		t.series -= e.seriesCount()
	}
	labels, exemplars := e.labels, e.exemplars
	e.point = *p
	e.labels = labels
	if p.exemplars == nil {
		e.exemplars = exemplars // the last ones stay on the page
	}
	if !e.stale {
		t.series += e.seriesCount()
	}
	size := sizeOf(&e.point)
	t.bytes += size - e.bytes
	e.bytes = size
}

func (t *table) findLocked(p *point) *entry {
	for e := t.byHash[p.hash]; e != nil; e = e.next {
		if equalLabels(e.labels, p.labels) {
			return e
		}
	}
	return nil
}

// expire forgets the series that were not seen since the given time and returns
// a stale point for each that was not known to be stale.
func (t *table) expire(since time.Time) []point {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ended []point
	for _, f := range t.families {
		for i := len(f.entries) - 1; i >= 0; i-- {
			e := f.entries[i]
			if e.lastSeen.After(since) {
				continue
			}
			if !e.stale {
				ended = append(ended, endOf(e))
			}
			t.removeLocked(e)
		}
	}
	return ended
}

// endOf makes the stale point of an entry, right behind its last sample.
func endOf(e *entry) point {
	return point{
		family: &e.family.family, labels: e.labels, hash: e.hash, kind: e.kind,
		stale: true, derived: true, hasSum: e.hasSum, edges: e.edges,
		timestampMs: e.timestampMs + 1,
	}
}

func (t *table) removeLocked(e *entry) {
	f := e.family
	last := f.entries[len(f.entries)-1]
	f.entries[e.index], last.index = last, e.index
	f.entries[len(f.entries)-1] = nil
	f.entries = f.entries[:len(f.entries)-1]
	if len(f.entries) == 0 {
		delete(t.families, f.name)
	}
	t.unlinkLocked(e)
	t.bytes -= e.bytes
	if !e.stale {
		t.series -= e.seriesCount()
	}
}

func (t *table) unlinkLocked(e *entry) {
	first := t.byHash[e.hash]
	if first == e {
		if e.next == nil {
			delete(t.byHash, e.hash)
		} else {
			t.byHash[e.hash] = e.next
		}
		return
	}
	for at := first; at != nil; at = at.next {
		if at.next == e {
			at.next = e.next
			return
		}
	}
}

// size returns the number of live series and the estimated bytes of the table.
func (t *table) size() (series int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.series, t.bytes
}

func sizeOf(p *point) int64 {
	n := entryBytes + 8*(len(p.edges)+len(p.cumulative)+len(p.quantiles))
	n += labelsSize(p.labels)
	for i := range p.exemplars {
		n += 64 + labelsSize(p.exemplars[i].labels)
	}
	if h := p.native; h != nil {
		n += 128 + 8*(len(h.PositiveSpans)+len(h.NegativeSpans)+len(h.PositiveBuckets)+len(h.NegativeBuckets))
	}
	return int64(n)
}

func labelsSize(ls []label) int {
	n := 0
	for i := range ls {
		n += labelBytes + len(ls[i].Name) + len(ls[i].Value)
	}
	return n
}
