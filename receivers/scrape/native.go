package scrape

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

// maxNativeBuckets bounds the buckets of one native histogram: OTLP writes the
// empty ones between two spans out, and the page may say how many those are.
const maxNativeBuckets = 16384

func (p *page) natives(m *metric, at place) pmetric.ExponentialHistogramDataPointSlice {
	if to, fresh := p.open(m, at); fresh {
		h := to.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		m.natives[at] = h.DataPoints()
	}
	return m.natives[at]
}

// putNative sends a native histogram and says whether OTLP can hold it: not
// one with custom bounds, of fractional counts, or of gauge type.
func (p *page) putNative(s *series, h *histogram.Histogram, fh *histogram.FloatHistogram) bool {
	if h == nil {
		if h = counted(fh); h == nil {
			return false
		}
	}
	if !histogram.IsExponentialSchema(h.Schema) || h.CounterResetHint == histogram.GaugeType ||
		value.IsStaleNaN(h.Sum) || h.Validate() != nil {
		return false
	}
	positive, ok1 := dense(h.PositiveSpans, h.PositiveBuckets)
	negative, ok2 := dense(h.NegativeSpans, h.NegativeBuckets)
	if !ok1 || !ok2 {
		return false
	}
	s.role = roleNative
	if s.metric == nil || s.metric.shape != shapeNative {
		s.metric = p.metric(s.id.Get(model.MetricNameLabel), shapeNative)
	}
	to := p.natives(s.metric, s.place).AppendEmpty()
	to.SetTimestamp(exposition.Timestamp(s.Sent))
	to.SetStartTimestamp(exposition.Timestamp(s.start))
	to.SetCount(h.Count)
	to.SetSum(h.Sum)
	to.SetScale(h.Schema)
	to.SetZeroThreshold(h.ZeroThreshold)
	to.SetZeroCount(h.ZeroCount)
	positive.writeTo(to.Positive())
	negative.writeTo(to.Negative())
	attributes(to.Attributes(), s.id)
	exposition.PutExemplars(to.Exemplars(), s.exemplars, s.Read)
	return true
}

// counts are buckets without gaps; the first has OTLP's index offset.
type counts struct {
	offset  int32
	buckets []uint64
}

func (c counts) writeTo(to pmetric.ExponentialHistogramDataPointBuckets) {
	to.SetOffset(c.offset)
	to.BucketCounts().FromRaw(c.buckets)
}

// dense writes spans and deltas out. Prometheus names a bucket by its upper
// bound, OTLP by its lower one, hence the 1. The histogram has been validated.
func dense(spans []histogram.Span, deltas []int64) (c counts, ok bool) {
	count := int64(0)
	for i, span := range spans {
		if i == 0 {
			c.offset = span.Offset - 1
		} else {
			if len(c.buckets)+int(span.Offset) > maxNativeBuckets {
				return counts{}, false
			}
			c.buckets = append(c.buckets, make([]uint64, span.Offset)...)
		}
		if len(c.buckets)+int(span.Length) > maxNativeBuckets {
			return counts{}, false
		}
		for range span.Length {
			count += deltas[0]
			deltas = deltas[1:]
			c.buckets = append(c.buckets, uint64(count))
		}
	}
	return c, true
}

// counted turns a histogram of floats that are whole numbers into one of
// integers, or gives nil.
func counted(fh *histogram.FloatHistogram) *histogram.Histogram {
	if fh == nil || fh.Validate() != nil || !isCount(fh.Count) || !isCount(fh.ZeroCount) {
		return nil
	}
	h := &histogram.Histogram{
		CounterResetHint: fh.CounterResetHint, Schema: fh.Schema, ZeroThreshold: fh.ZeroThreshold,
		ZeroCount: uint64(fh.ZeroCount), Count: uint64(fh.Count), Sum: fh.Sum,
		PositiveSpans: fh.PositiveSpans, NegativeSpans: fh.NegativeSpans,
	}
	var ok1, ok2 bool
	h.PositiveBuckets, ok1 = deltas(fh.PositiveBuckets)
	h.NegativeBuckets, ok2 = deltas(fh.NegativeBuckets)
	if !ok1 || !ok2 {
		return nil
	}
	return h
}

func deltas(from []float64) (to []int64, ok bool) {
	last := int64(0)
	for _, v := range from {
		if !isCount(v) {
			return nil, false
		}
		to = append(to, int64(v)-last)
		last = int64(v)
	}
	return to, true
}
