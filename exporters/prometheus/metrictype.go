package prometheus

import (
	"math"

	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const maxFinite = math.MaxFloat64

// untranslatable gives the reason for which none of a metric's points can be stored.
func untranslatable(m pmetric.Metric) string {
	var temporality pmetric.AggregationTemporality
	switch m.Type() {
	case pmetric.MetricTypeSum:
		temporality = m.Sum().AggregationTemporality()
	case pmetric.MetricTypeHistogram:
		temporality = m.Histogram().AggregationTemporality()
	case pmetric.MetricTypeExponentialHistogram:
		temporality = m.ExponentialHistogram().AggregationTemporality()
	default:
		return ""
	}
	switch temporality {
	case pmetric.AggregationTemporalityCumulative:
		return ""
	case pmetric.AggregationTemporalityDelta:
		return reasonDeltaTemporality
	default:
		return ledger.ReasonMalformed
	}
}

func pointsOf(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	default:
		return 0
	}
}

func namerType(m pmetric.Metric) otlptranslator.MetricType {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return otlptranslator.MetricTypeGauge
	case pmetric.MetricTypeSum:
		if m.Sum().IsMonotonic() {
			return otlptranslator.MetricTypeMonotonicCounter
		}
		return otlptranslator.MetricTypeNonMonotonicCounter
	case pmetric.MetricTypeHistogram:
		return otlptranslator.MetricTypeHistogram
	case pmetric.MetricTypeExponentialHistogram:
		return otlptranslator.MetricTypeExponentialHistogram
	case pmetric.MetricTypeSummary:
		return otlptranslator.MetricTypeSummary
	default:
		return otlptranslator.MetricTypeUnknown
	}
}

// ownType is the Prometheus type by the metric's OpenTelemetry type.
func ownType(m pmetric.Metric) prompb.MetricMetadata_MetricType {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		if m.Sum().IsMonotonic() {
			return prompb.MetricMetadata_COUNTER
		}
		return prompb.MetricMetadata_GAUGE
	case pmetric.MetricTypeHistogram, pmetric.MetricTypeExponentialHistogram:
		return prompb.MetricMetadata_HISTOGRAM
	case pmetric.MetricTypeSummary:
		return prompb.MetricMetadata_SUMMARY
	default:
		return prompb.MetricMetadata_GAUGE
	}
}

// declaredType is the exposition's type, as far as the metric's data can be of
// that type: a page must not offer a gauge's number as a histogram.
func declaredType(declared string, m pmetric.Metric) prompb.MetricMetadata_MetricType {
	own := ownType(m)
	if own != prompb.MetricMetadata_COUNTER && own != prompb.MetricMetadata_GAUGE {
		return own
	}
	switch declared {
	case "counter":
		return prompb.MetricMetadata_COUNTER
	case "gauge":
		return prompb.MetricMetadata_GAUGE
	case "info":
		return prompb.MetricMetadata_INFO
	case "stateset":
		return prompb.MetricMetadata_STATESET
	default:
		return prompb.MetricMetadata_UNKNOWN
	}
}
