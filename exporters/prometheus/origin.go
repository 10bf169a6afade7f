package prometheus

import (
	"time"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// origin is a page that an agent scrapes over and over, and sends whole: its series
// and behind them, or with them, "up". What is on it no more ends by the agent's
// marker. A series that ended while there was no agent has none: it is known by
// being overdue though its page came.
type origin struct {
	key     uint64
	pages   uint32 // completed
	upMs    int64  // the last one's time: one that is sent again is no other
	entries int
}

const (
	// originBytes estimates an origin and its place in the map.
	originBytes = 80
	// lookback is for how long Prometheus shows a series without samples: then
	// there is no need to tell it any more.
	lookback = 5 * time.Minute
)

// originOf gives the key of a page; 0 for what is not of one node, since then
// several agents may send parts of it, as with kube-state-metrics.
func originOf(attrs pcommon.Map, exposition []label, scope string) uint64 {
	if node, ok := attrs.Get("k8s.node.name"); !ok || node.AsString() == "" {
		return 0
	}
	var h xxhash.Digest
	h.Reset()
	for _, l := range exposition {
		_, _ = h.WriteString(l.Name)
		_, _ = h.WriteString("\xff")
		_, _ = h.WriteString(l.Value)
		_, _ = h.WriteString("\xff")
	}
	_, _ = h.WriteString(scope)
	return max(1, h.Sum64())
}

// placeLocked notes that e came with the page of this key; 0: with none.
func (t *table) placeLocked(e *entry, key uint64) {
	if o := e.origin; o != nil && o.key != key {
		e.origin = nil
		if o.entries--; o.entries == 0 {
			delete(t.origins, o.key)
			t.bytes -= originBytes
		}
	}
	if key == 0 {
		return
	}
	if e.origin == nil {
		o := t.origins[key]
		if o == nil {
			o = &origin{key: key}
			t.origins[key] = o
			t.bytes += originBytes
		}
		o.entries++
		e.origin = o
	}
	e.page = e.origin.pages
}

// turn is the end of a page.
type turn struct {
	origin uint64
	atMs   int64
}

// turnPages takes the points of "up".
func (b *batch) turnPages(ups []point) {
	for i := range ups {
		if p := &ups[i]; p.kind == kindNumber && !p.stale && p.value == 1 {
			b.pages = append(b.pages, turn{p.origin, p.timestampMs})
		}
	}
}

func (t *table) turnPagesLocked(pages []turn) {
	for _, p := range pages {
		if o := t.origins[p.origin]; o != nil && p.atMs > o.upMs {
			o.upMs = p.atMs
			o.pages++
		}
	}
}

// gone says whether the store believes in the series though its page came
// without it.
func (e *entry) gone() bool {
	return e.origin != nil && (!e.stale || e.silent) && e.origin.pages-e.page > 1
}

// waitsLocked says whether an overdue series is remembered, since its agent may
// come back without it. That is no reason to refuse others for want of room.
func (t *table) waitsLocked(e *entry, nowMs int64) bool {
	return t.waits && e.origin != nil && (!e.stale || e.silent) &&
		nowMs-e.seenMs < lookback.Milliseconds() && t.sizeLocked() < t.maxBytes/2
}

// silenceLocked takes a series off the page.
func (t *table) silenceLocked(e *entry) {
	if !e.stale {
		t.series -= e.seriesCount()
		e.stale, e.silent = true, true
	}
}

// markerLocked makes the point that ends a series, right behind its last sample:
// should there be later ones that came another way, the store refuses it.
func (t *table) markerLocked(e *entry) point {
	p := point{
		family: &e.family.family, labels: t.symbols.unpack(e.labels), id: e.id, kind: e.kind,
		stale: true, derived: true, hasSum: e.hasSum, timestampMs: e.timestampMs + 1,
	}
	if e.kind != kindNumber {
		p.detail = &detail{edges: e.detail.edges}
	}
	return p
}
