package prometheus

import (
	"math"
	"slices"
	"time"
)

// entry is the last point of one identity (the labels without le and quantile).
// A stale entry is kept until it expires: it still knows its buckets if the
// stale point comes again, and an older sample that is late does not revive it.
type entry struct {
	id     identity
	family *tableFamily // nil once the table forgot the entry
	labels string       // as symbols
	detail *detail

	value       float64
	timestampMs int64
	startMs     int64
	seenMs      int64  // the time at which it last came
	intervalMs  int32  // between its samples; 0: not known
	index       int32  // in family.entries
	batch       uint32 // the last batch it was in
	rounds      int32  // points of it in that batch, less one
	page        uint32 // origin.pages when it last came
	kind        pointKind
	stale       bool
	silent      bool // stale only because it stopped coming: the store was not told
	hasSum      bool
	origin      *origin // nil for one that may come without its page
}

const (
	// entryBytes estimates an entry without its labels and detail: the entry and
	// its places in map and family.
	entryBytes = 176
	// detailBytes is one of a detail, without what it refers to.
	detailBytes = 144
)

// intervals without a sample after which a series is taken to have ended.
const intervals = 2

// shape is what decides whether points can share a family on the page.
type shape uint8

const (
	shapeNumber shape = iota
	shapeHistogram
	shapeSummary
)

func shapeOf(k pointKind) shape {
	switch k {
	case kindClassic, kindNative:
		return shapeHistogram
	case kindSummary:
		return shapeSummary
	default:
		return shapeNumber
	}
}

// set takes over all of p but what identifies e.
func (e *entry) set(p *point) {
	d := p.detail
	if old := e.detail; old != nil && len(old.exemplars) > 0 && len(p.exemplars()) == 0 && !p.stale {
		with := detail{} // the last ones stay on the page
		if d != nil {
			with = *d
		}
		with.exemplars = old.exemplars
		d = &with
	}
	e.detail, e.value, e.timestampMs, e.startMs = d, p.value, p.timestampMs, p.startMs
	e.kind, e.stale, e.silent, e.hasSum = p.kind, p.stale, false, p.hasSum
}

// complete gives a stale point, which tells no buckets, those of the last one.
func (e *entry) complete(p *point) {
	if p.kind == kindNumber || e.kind == kindNumber {
		return
	}
	p.kind, p.hasSum = e.kind, e.hasSum
	p.detail = &detail{edges: e.detail.edges}
}

// goneBy makes the stale point of the series that e has and p has no more, since
// a histogram's bounds, a summary's quantiles or a histogram's form changed.
func (e *entry) goneBy(p *point) *point {
	if e.stale || p.stale || e.kind == kindNumber || p.timestampMs == e.timestampMs {
		return nil
	}
	gone := point{
		family: p.family, labels: p.labels, id: p.id, kind: e.kind, round: p.round,
		stale: true, derived: true, timestampMs: p.timestampMs,
	}
	if p.kind != e.kind {
		gone.hasSum, gone.detail = e.hasSum, &detail{edges: e.detail.edges}
		return &gone
	}
	gone.partial, gone.hasSum = true, e.hasSum && !p.hasSum
	var edges []float64
	if !slices.Equal(e.detail.edges, p.detail.edges) {
		for _, edge := range e.detail.edges {
			if !slices.Contains(p.detail.edges, edge) {
				edges = append(edges, edge)
			}
		}
	}
	gone.detail = &detail{edges: edges}
	if e.kind == kindNative || len(edges) == 0 && !gone.hasSum {
		return nil
	}
	return &gone
}

// learnInterval is told the next sample's time and the present. The longer of
// both gaps counts: a backlog comes faster than it was made, and cAdvisor may
// repeat a sample. It forgets slowly, so that one sample out of turn means little.
func (e *entry) learnInterval(timestampMs, nowMs int64) {
	gap := max(timestampMs-e.timestampMs, nowMs-e.seenMs, int64(e.intervalMs)/4*3)
	e.intervalMs = int32(min(gap, math.MaxInt32))
}

// overdue: the series missed as many intervals as end it.
func (e *entry) overdue(nowMs int64, bound time.Duration) bool {
	after := bound.Milliseconds()
	if e.intervalMs > 0 {
		after = min(after, intervals*max(int64(e.intervalMs), minInterval.Milliseconds()))
	}
	return nowMs-e.seenMs >= after
}

// minInterval: no series is ended sooner than after two of it.
const minInterval = time.Second

func (e *entry) seriesCount() int { return seriesCount(e.kind, e.detail, e.hasSum, false) }

func (e *entry) bytes() int64 { return entryBytes + int64(len(e.labels)) + e.detail.bytes() }

func (d *detail) bytes() int64 {
	if d == nil {
		return 0
	}
	n := detailBytes + 8*(len(d.edges)+len(d.cumulative)+len(d.quantiles))
	for i := range d.exemplars {
		n += 64 + len(d.exemplars[i].labels)
	}
	if h := d.native; h != nil {
		n += 160 + 8*(len(h.PositiveSpans)+len(h.NegativeSpans)+len(h.PositiveBuckets)+len(h.NegativeBuckets))
	}
	return int64(n)
}
