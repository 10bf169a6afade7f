package prometheus

import (
	"math"

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
	// labels are those that all its series share: with __name__ (the family's
	// name), without le and quantile.
	labels packed
	id     identity // of labels
	kind   pointKind
	// stale: the source has no value any more; each of its series ends.
	stale bool
	// derived points are made here and are no items of the ledger.
	derived bool
	// partial points are the buckets or quantiles in edges alone.
	partial bool
	// skip: nothing to send (a derived point that is not newer than the last one).
	skip   bool
	hasSum bool
	// origin is the page it was on, as originOf gives it; 0 for none.
	origin uint64
	// round counts the earlier points of the same series in the same batch.
	round int32

	timestampMs int64
	startMs     int64   // 0: unknown
	value       float64 // kindNumber
	detail      *detail // never nil for other kinds

	// refused is the reason for which the store or the table did not take the
	// point; empty if it did.
	refused string
}

// detail is what plain numbers do not have. Once made it is not changed.
type detail struct {
	sum        float64
	count      uint64
	edges      []float64 // kindClassic: finite upper bounds; kindSummary: quantiles
	cumulative []uint64  // kindClassic: observations up to each edge
	quantiles  []float64 // kindSummary: the value at each edge
	native     *histogram.Histogram
	exemplars  []exemplar // by timestamp
}

// exemplar refers to one observation.
type exemplar struct {
	labels      packed
	value       float64
	timestampMs int64
}

// sample is one sample of one series of a point. The series has the point's
// labels with suffix behind the name and, if extra is not empty, one label more.
type sample struct {
	suffix            string
	extra, extraValue string
	value             float64
	native            *histogram.Histogram
	exemplars         []exemplar // of this series, by timestamp
}

// seriesCount is how many series the point becomes.
func (p *point) seriesCount() int {
	return seriesCount(p.kind, p.detail, p.hasSum, p.partial)
}

func seriesCount(kind pointKind, d *detail, hasSum, partial bool) int {
	switch {
	case kind == kindNumber, kind == kindNative:
		return 1
	case partial:
		return len(d.edges) + oneIf(hasSum)
	case kind == kindClassic:
		return len(d.edges) + 2 + oneIf(hasSum)
	default:
		return len(d.edges) + 1 + oneIf(hasSum)
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
	n := 64 + len(p.labels)
	if p.detail != nil && p.detail.native != nil {
		n += 10 * (len(p.detail.native.PositiveBuckets) + len(p.detail.native.NegativeBuckets))
	}
	return n
}

func (p *point) exemplars() []exemplar {
	if p.detail == nil {
		return nil
	}
	return p.detail.exemplars
}

// extraLabel is what tells the point's series apart; empty if it has just one.
func (p *point) extraLabel() string {
	switch p.kind {
	case kindClassic:
		return bucketLabel
	case kindSummary:
		return quantileLabel
	default:
		return ""
	}
}

// seriesLabels makes Prometheus's own form of a sample's labels.
func (p *point) seriesLabels(s *sample) labels.Labels {
	return packed(p.labels.appendSeries(nil, p.labels.cut(p.extraLabel()), p.family.name, s)).labels()
}

// expand calls yield for each series of the point; the sample is yield's until
// it returns.
func (p *point) expand(yield func(*sample)) {
	switch p.kind {
	case kindNumber:
		s := p.number()
		yield(&s)
	case kindNative:
		yield(&sample{native: p.nativeOrStale(), exemplars: p.detail.exemplars})
	case kindClassic:
		p.expandClassic(yield)
	case kindSummary:
		for i, q := range p.detail.edges {
			s := sample{extra: quantileLabel, extraValue: labels.FormatOpenMetricsFloat(q), value: staleNaN}
			if !p.stale {
				s.value = p.detail.quantiles[i]
			}
			yield(&s)
		}
		p.expandTotals(yield)
	}
}

func (p *point) number() sample {
	return sample{value: p.orStale(p.value), exemplars: p.exemplars()}
}

func (p *point) expandClassic(yield func(*sample)) {
	lower := math.Inf(-1)
	for i := range len(p.detail.edges) + oneIf(!p.partial) {
		edge, n := math.Inf(1), p.detail.count
		if i < len(p.detail.edges) {
			edge = p.detail.edges[i]
			if !p.stale {
				n = p.detail.cumulative[i]
			}
		}
		yield(&sample{
			suffix: "_bucket", extra: bucketLabel, extraValue: labels.FormatOpenMetricsFloat(edge),
			value:     p.orStale(float64(n)),
			exemplars: exemplarsBetween(p.detail.exemplars, lower, edge),
		})
		lower = edge
	}
	p.expandTotals(yield)
}

func (p *point) expandTotals(yield func(*sample)) {
	if p.hasSum {
		yield(&sample{suffix: "_sum", value: p.orStale(p.detail.sum)})
	}
	if !p.partial {
		yield(&sample{suffix: "_count", value: p.orStale(float64(p.detail.count))})
	}
}

func (p *point) orStale(v float64) float64 {
	if p.stale {
		return staleNaN
	}
	return v
}

func (p *point) nativeOrStale() *histogram.Histogram {
	if p.stale {
		// The count is what Prometheus's own senders write; the sum makes it stale.
		return &histogram.Histogram{Sum: staleNaN, Count: value.StaleNaN}
	}
	return p.detail.native
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
