package node

import (
	"math"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// put appends a value of s. n is how many its family has.
func (b *book) put(s *series, from *dto.Metric, at pcommon.Timestamp, n int) {
	m := b.metric(s.family, n)
	switch s.family.kind {
	case dto.MetricType_COUNTER:
		putNumber(m.Sum().DataPoints().AppendEmpty(), s, at, from.GetCounter().GetValue())
	case dto.MetricType_GAUGE:
		putNumber(m.Gauge().DataPoints().AppendEmpty(), s, at, from.GetGauge().GetValue())
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		putHistogram(m.Histogram().DataPoints().AppendEmpty(), s, at, from.GetHistogram())
	case dto.MetricType_SUMMARY:
		putSummary(m.Summary().DataPoints().AppendEmpty(), s, at, from.GetSummary())
	default:
		putNumber(m.Gauge().DataPoints().AppendEmpty(), s, at, from.GetUntyped().GetValue())
	}
}

func putNumber(to pmetric.NumberDataPoint, s *series, at pcommon.Timestamp, value float64) {
	to.SetTimestamp(at)
	to.SetDoubleValue(value)
	s.attributes(to.Attributes())
}

func putHistogram(to pmetric.HistogramDataPoint, s *series, at pcommon.Timestamp, from *dto.Histogram) {
	to.SetTimestamp(at)
	to.SetCount(from.GetSampleCount())
	to.SetSum(from.GetSampleSum())
	s.bounds = s.bounds[:0]
	below := uint64(0)
	for _, bucket := range from.Bucket {
		if math.IsInf(bucket.GetUpperBound(), 1) {
			continue
		}
		s.bounds = append(s.bounds, bucket.GetUpperBound())
		// A registry has ordered the bounds; that counts do not fall is the
		// writer's word, and what is below zero would wrap.
		count := max(bucket.GetCumulativeCount(), below)
		to.BucketCounts().Append(count - below)
		below = count
	}
	to.BucketCounts().Append(max(from.GetSampleCount(), below) - below)
	to.ExplicitBounds().FromRaw(s.bounds)
	s.attributes(to.Attributes())
}

func putSummary(to pmetric.SummaryDataPoint, s *series, at pcommon.Timestamp, from *dto.Summary) {
	to.SetTimestamp(at)
	to.SetCount(from.GetSampleCount())
	to.SetSum(from.GetSampleSum())
	s.bounds = s.bounds[:0]
	for _, quantile := range from.Quantile {
		s.bounds = append(s.bounds, quantile.GetQuantile())
		q := to.QuantileValues().AppendEmpty()
		q.SetQuantile(quantile.GetQuantile())
		q.SetValue(quantile.GetValue())
	}
	s.attributes(to.Attributes())
}

// attributes writes the series' labels.
func (s *series) attributes(to pcommon.Map) {
	to.EnsureCapacity(len(s.labels) / 2)
	for i := 0; i < len(s.labels); i += 2 {
		to.PutStr(s.labels[i], s.labels[i+1])
	}
}

var noValue = pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)

// mark appends a marker that says that s is gone. A histogram's bears the
// bounds, without which its buckets could not be named.
func (b *book) mark(s *series) {
	m, at := b.metric(s.family, 1), pcommon.Timestamp(b.now*1e6)
	switch m.Type() {
	case pmetric.MetricTypeHistogram:
		point := m.Histogram().DataPoints().AppendEmpty()
		point.SetFlags(noValue)
		point.SetTimestamp(at)
		point.ExplicitBounds().FromRaw(s.bounds)
		point.BucketCounts().FromRaw(make([]uint64, len(s.bounds)+1))
		s.attributes(point.Attributes())
	case pmetric.MetricTypeSummary:
		point := m.Summary().DataPoints().AppendEmpty()
		point.SetFlags(noValue)
		point.SetTimestamp(at)
		for _, quantile := range s.bounds {
			point.QuantileValues().AppendEmpty().SetQuantile(quantile)
		}
		s.attributes(point.Attributes())
	case pmetric.MetricTypeSum:
		s.markNumber(m.Sum().DataPoints().AppendEmpty(), at)
	default:
		s.markNumber(m.Gauge().DataPoints().AppendEmpty(), at)
	}
}

func (s *series) markNumber(to pmetric.NumberDataPoint, at pcommon.Timestamp) {
	to.SetFlags(noValue)
	to.SetTimestamp(at)
	s.attributes(to.Attributes())
}
