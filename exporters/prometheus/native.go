package prometheus

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const (
	minSchema = -4
	maxSchema = 8
	// defaultZeroThreshold is Prometheus's, for senders that tell none.
	defaultZeroThreshold = 1e-128
	// maxGap is the longest run of empty buckets that is cheaper written out
	// than as a new span (client_golang's choice).
	maxGap = 2
)

func (t *translator) native(dp pmetric.ExponentialHistogramDataPoint, src source) {
	p := t.begin(src, kindNative, dp.Attributes(), dp.Timestamp(), dp.StartTimestamp(), dp.Flags())
	p.detail = &detail{}
	if p.stale {
		return
	}
	if dp.Scale() < minSchema {
		t.malformed(reasonUnsupportedScale)
		return
	}
	h, ok := nativeHistogram(dp)
	if !ok {
		t.malformed(ledger.ReasonMalformed)
		return
	}
	p.detail.native = h
	p.detail.exemplars = t.exemplars(dp.Exemplars())
}

func nativeHistogram(dp pmetric.ExponentialHistogramDataPoint) (*histogram.Histogram, bool) {
	schema := min(dp.Scale(), maxSchema)
	shift := uint(dp.Scale() - schema)
	h := &histogram.Histogram{
		Schema:        schema,
		ZeroThreshold: dp.ZeroThreshold(),
		ZeroCount:     dp.ZeroCount(),
		Count:         dp.Count(),
		Sum:           dp.Sum(), // 0 if the sender has none
		// A reset is for Prometheus to find out: to say "no reset" wrongly would
		// break a query engine that trusts it.
		CounterResetHint: histogram.UnknownCounterReset,
	}
	if h.ZeroThreshold <= 0 {
		h.ZeroThreshold = defaultZeroThreshold
	}
	var ok1, ok2 bool
	h.PositiveSpans, h.PositiveBuckets, ok1 = nativeBuckets(dp.Positive(), shift)
	h.NegativeSpans, h.NegativeBuckets, ok2 = nativeBuckets(dp.Negative(), shift)
	return h, ok1 && ok2
}

// nativeBuckets turns dense counts into spans and deltas. OpenTelemetry's bucket
// i is (base^i, base^(i+1)], Prometheus names it by its upper bound, i+1. Shift
// merges 2^shift neighbours, which lowers the scale by shift.
func nativeBuckets(from pmetric.ExponentialHistogramDataPointBuckets, shift uint) (spans []histogram.Span, deltas []int64, ok bool) {
	counts, offset := from.BucketCounts(), int64(from.Offset())
	var previous int64 // count of the bucket before
	next := int64(0)   // index behind the bucket before
	put := func(index, count int64) {
		gap := index - next
		if len(spans) == 0 || gap > maxGap {
			spans = append(spans, histogram.Span{Offset: int32(gap)})
		} else {
			for range gap {
				spans[len(spans)-1].Length++
				deltas, previous = append(deltas, -previous), 0
			}
		}
		spans[len(spans)-1].Length++
		deltas, previous = append(deltas, count-previous), count
		next = index + 1
	}
	var merged uint64
	for i := range counts.Len() {
		merged += counts.At(i)
		index := (offset+int64(i))>>shift + 1
		if last := i == counts.Len()-1; !last && (offset+int64(i+1))>>shift+1 == index {
			continue
		}
		if index < math.MinInt32 || index > math.MaxInt32 || merged > math.MaxInt64 {
			return nil, nil, false
		}
		if merged > 0 {
			put(index, int64(merged))
		}
		merged = 0
	}
	return spans, deltas, true
}
