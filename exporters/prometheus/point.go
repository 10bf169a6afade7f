package prometheus

import (
	"math"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
)

const (
	nameLabel     = "__name__"
	bucketLabel   = "le"
	quantileLabel = "quantile"
)

var staleNaN = math.Float64frombits(value.StaleNaN)

// family is what the series of one metric name share. Once made it is not
// changed, so points of several batches may refer to the same one.
type family struct {
	name string
	help string
	unit string // as in names: "seconds"; empty if none
	typ  prompb.MetricMetadata_MetricType
}

// pointKind says which fields of a point are set and which series it becomes.
type pointKind uint8

const (
	kindNumber  pointKind = iota // one series
	kindClassic                  // _bucket per edge and +Inf, _sum, _count
	kindSummary                  // one per quantile, _sum, _count
	kindNative                   // one series of native histograms
)

// point is one data point in Prometheus's terms.
type point struct {
	family *family
	// labels are those that all its series share, __name__ (the family's name)
	// included and le and quantile not, sorted by name, names unique, no value empty.
	labels []label
	hash   uint64 // of labels
	kind   pointKind
	// stale: the source has no value any more; each of its series ends.
	stale bool
	// derived points are made here and are no items of the ledger.
	derived bool
	// skip: nothing to send (a derived point that is not newer than the last one).
	skip   bool
	hasSum bool
	// round counts the earlier points of the same series in the same batch.
	round int32

	timestampMs int64
	startMs     int64   // 0: unknown
	value       float64 // kindNumber
	sum         float64
	count       uint64
	edges       []float64 // kindClassic: finite upper bounds; kindSummary: quantiles
	cumulative  []uint64  // kindClassic: observations up to each edge
	quantiles   []float64 // kindSummary: the value at each edge
	native      *histogram.Histogram
	exemplars   []exemplar // by timestamp

	// refused is the reason for which the store or the table did not take the
	// point; empty if it did.
	refused string
}

// label is prompb.Label without what its generated code adds: half the size.
type label struct {
	Name, Value string
}

// exemplar refers to one observation. Its labels are sorted.
type exemplar struct {
	labels      []label
	value       float64
	timestampMs int64
}

// series is one sample of one series of a point.
type series struct {
	labels []label
	value  float64
	native *histogram.Histogram
	// exemplars of this series, by timestamp.
	exemplars []exemplar
}

// seriesCount is how many series the point becomes.
func (p *point) seriesCount() int {
	switch p.kind {
	case kindClassic:
		return len(p.edges) + 2 + oneIf(p.hasSum)
	case kindSummary:
		return len(p.edges) + 1 + oneIf(p.hasSum)
	default:
		return 1
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// seriesBytes estimates the encoded size of one of its series.
func (p *point) seriesBytes() int {
	n := 64
	for i := range p.labels {
		n += len(p.labels[i].Name) + len(p.labels[i].Value) + 6
	}
	if p.native != nil {
		n += 10 * (len(p.native.PositiveBuckets) + len(p.native.NegativeBuckets))
	}
	return n
}

// expand calls yield for each series of the point. Label slices that are not
// the point's own are cut from arena.
func (p *point) expand(arena *labelArena, yield func(series)) {
	switch p.kind {
	case kindNumber:
		yield(series{labels: p.labels, value: p.orStale(p.value), exemplars: p.exemplars})
	case kindNative:
		yield(series{labels: p.labels, native: p.nativeOrStale(), exemplars: p.exemplars})
	case kindClassic:
		p.expandClassic(arena, yield)
	case kindSummary:
		for i, q := range p.edges {
			v := staleNaN
			if !p.stale {
				v = p.quantiles[i]
			}
			yield(series{labels: arena.derive(p.labels, "", quantileLabel, labels.FormatOpenMetricsFloat(q)), value: v})
		}
		p.expandTotals(arena, yield)
	}
}

func (p *point) expandClassic(arena *labelArena, yield func(series)) {
	lower := math.Inf(-1)
	for i := range len(p.edges) + 1 {
		edge, n := math.Inf(1), p.count
		if i < len(p.edges) {
			edge = p.edges[i]
			if !p.stale {
				n = p.cumulative[i]
			}
		}
		yield(series{
			labels:    arena.derive(p.labels, "_bucket", bucketLabel, labels.FormatOpenMetricsFloat(edge)),
			value:     p.orStale(float64(n)),
			exemplars: exemplarsBetween(p.exemplars, lower, edge),
		})
		lower = edge
	}
	p.expandTotals(arena, yield)
}

func (p *point) expandTotals(arena *labelArena, yield func(series)) {
	if p.hasSum {
		yield(series{labels: arena.derive(p.labels, "_sum", "", ""), value: p.orStale(p.sum)})
	}
	yield(series{labels: arena.derive(p.labels, "_count", "", ""), value: p.orStale(float64(p.count))})
}

func (p *point) orStale(v float64) float64 {
	if p.stale {
		return staleNaN
	}
	return v
}

func (p *point) nativeOrStale() *histogram.Histogram {
	if p.stale {
		return &histogram.Histogram{Sum: staleNaN}
	}
	return p.native
}

// exemplarsBetween returns those with lower < value <= upper, in their order.
func exemplarsBetween(all []exemplar, lower, upper float64) []exemplar {
	var in []exemplar
	for _, e := range all {
		if e.value > lower && e.value <= upper {
			in = append(in, e)
		}
	}
	return in
}

// complete gives a stale point, which tells no buckets, those of the last one.
func (p *point) complete(last *point) {
	if p.kind != last.kind {
		return
	}
	p.edges = last.edges
	p.hasSum = last.hasSum
}

// labelArena hands out label slices cut from large ones: one allocation per
// thousands of series instead of one each. They live as long as any of them.
type labelArena struct {
	free []label
}

const arenaLabels = 4096

// grow returns an empty slice with room for n labels; the arena gives the room
// to no one else.
func (a *labelArena) grow(n int) []label {
	if len(a.free) < n {
		a.free = make([]label, max(n, arenaLabels))
	}
	room := a.free[:0:n]
	a.free = a.free[n:]
	return room
}

// derive copies labels with suffix behind the name and, if name is not empty,
// one more label in its place.
func (a *labelArena) derive(from []label, suffix, name, val string) []label {
	out := a.grow(len(from) + oneIf(name != ""))
	for _, l := range from {
		if name != "" && l.Name > name {
			out = append(out, label{name, val})
			name = ""
		}
		if l.Name == nameLabel {
			l.Value += suffix
		}
		out = append(out, l)
	}
	if name != "" {
		out = append(out, label{name, val})
	}
	return out
}

func compareLabels(a, b label) int { return strings.Compare(a.Name, b.Name) }

func equalLabels(a, b []label) bool {
	return slices.EqualFunc(a, b, func(x, y label) bool { return x.Name == y.Name && x.Value == y.Value })
}
