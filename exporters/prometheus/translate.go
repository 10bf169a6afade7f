package prometheus

import (
	"slices"
	"strings"

	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const (
	// typeMetadata is the metadata key by which receivers of Prometheus
	// expositions tell the exposition's type; its presence marks the origin.
	typeMetadata = "prometheus.type"

	// reasonDeltaTemporality: Prometheus stores cumulative values only.
	reasonDeltaTemporality = "delta_temporality"
	// reasonUnsupportedScale: native histograms have no schema below -4.
	reasonUnsupportedScale = "unsupported_scale"

	// maxHelpBytes is what Mimir takes; longer texts are cut.
	maxHelpBytes = 1024
)

// batch is the translation of one pmetric.Metrics.
type batch struct {
	points []point
	// dropped counts data points that have no translation, by reason.
	dropped map[string]int
	// pages are those that the batch completes.
	pages []turn
	// items is the number of data points, the dropped ones included.
	items int
}

func (b *batch) drop(reason string, n int) {
	if n == 0 {
		return
	}
	if b.dropped == nil {
		b.dropped = make(map[string]int)
	}
	b.dropped[reason] += n
}

// translator turns pdata into points. It is for one goroutine; what it makes
// lives until it is used again.
type translator struct {
	labeler
	batch
	metrics otlptranslator.MetricNamer
	units   otlptranslator.UnitNamer
	nowMs   int64 // for data points without a timestamp
	// newestMs is the latest timestamp of the resource's points so far.
	newestMs int64
	origin   uint64 // of the resource's points that are from an exposition
	// ofResource tells that the resource has points which target_info may describe.
	ofResource bool
}

func newTranslator() *translator {
	return &translator{metrics: otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)}
}

// translate never fails: what has no translation is counted in the batch. The
// table may add points to the batch.
func (t *translator) translate(md pmetric.Metrics, nowMs int64) *batch {
	clear(t.points)
	t.batch = batch{points: t.points[:0], pages: t.pages[:0], items: md.DataPointCount()}
	t.points = slices.Grow(t.points, t.items+md.ResourceMetrics().Len())
	t.labeler.reset()
	t.nowMs = nowMs
	for _, rm := range md.ResourceMetrics().All() {
		t.resource(rm)
	}
	return &t.batch
}

func (t *translator) resource(rm pmetric.ResourceMetrics) {
	attrs := rm.Resource().Attributes()
	r := newResourceLabels(attrs)
	t.newestMs, t.ofResource = 0, false
	for _, sm := range rm.ScopeMetrics().All() {
		scoped := withScope(r.otel, sm.Scope())
		t.origin = originOf(attrs, r.exposition, sm.Scope().Name())
		for _, m := range sm.Metrics().All() {
			t.metric(m, r.exposition, scoped)
		}
	}
	if !t.ofResource {
		return
	}
	if labels, ok := t.labeler.targetInfo(attrs, r); ok {
		t.points = append(t.points, point{
			family: targetInfoFamily, labels: labels, id: labels.identity(),
			kind: kindNumber, value: 1, timestampMs: t.newestMs, derived: true,
		})
	}
}

// source is a metric's part of its points.
type source struct {
	labelSource
	family *family
	// withStart: its values count from a start, which the points tell.
	withStart bool
}

func (t *translator) metric(m pmetric.Metric, exposition, otel []label) {
	if reason := untranslatable(m); reason != "" {
		t.drop(reason, pointsOf(m))
		return
	}
	declared, verbatim := m.Metadata().Get(typeMetadata)
	src := source{labelSource: labelSource{resource: otel, verbatim: verbatim, reserved: reservedLabel(m.Type())}}
	f := &family{help: cutHelp(m.Description())}
	if verbatim {
		src.resource = exposition
		f.name, f.typ, f.unit = m.Name(), declaredType(declared.AsString(), m), m.Unit()
	} else {
		name, err := t.metrics.Build(otlptranslator.Metric{Name: m.Name(), Unit: m.Unit(), Type: namerType(m)})
		if err != nil {
			t.drop(ledger.ReasonMalformed, pointsOf(m))
			return
		}
		f.name, f.typ, f.unit = name, ownType(m), t.units.Build(m.Unit())
	}
	f.name = validText(f.name)
	if f.name == "" {
		t.drop(ledger.ReasonMalformed, pointsOf(m))
		return
	}
	src.family, src.metric = f, f.name
	src.withStart = f.typ == prompb.MetricMetadata_COUNTER || f.typ == prompb.MetricMetadata_HISTOGRAM || f.typ == prompb.MetricMetadata_SUMMARY
	before := len(t.points)
	t.pointsFrom(m, src)
	if verbatim && f.name == "up" && t.origin != 0 {
		t.turnPages(t.points[before:])
	}
}

func reservedLabel(typ pmetric.MetricType) string {
	switch typ {
	case pmetric.MetricTypeHistogram:
		return bucketLabel
	case pmetric.MetricTypeSummary:
		return quantileLabel
	default:
		return ""
	}
}

func (t *translator) pointsFrom(m pmetric.Metric, src source) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, dp := range m.Gauge().DataPoints().All() {
			t.number(dp, src, false)
		}
	case pmetric.MetricTypeSum:
		for _, dp := range m.Sum().DataPoints().All() {
			t.number(dp, src, true)
		}
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			t.classic(dp, src)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, dp := range m.ExponentialHistogram().DataPoints().All() {
			t.native(dp, src)
		}
	case pmetric.MetricTypeSummary:
		for _, dp := range m.Summary().DataPoints().All() {
			t.summary(dp, src)
		}
	}
}

// begin appends a point with what all kinds share, and returns it to be filled.
func (t *translator) begin(src source, kind pointKind, attrs pcommon.Map, at, start pcommon.Timestamp, flags pmetric.DataPointFlags) *point {
	labels := t.build(src.labelSource, attrs)
	t.points = append(t.points, point{
		family: src.family, labels: labels, id: labels.identity(), kind: kind,
		stale: flags.NoRecordedValue(), timestampMs: t.milliseconds(at),
	})
	p := &t.points[len(t.points)-1]
	// A start behind the sample says nothing, and receivers complain about it.
	if startMs := int64(start / 1e6); src.withStart && startMs < p.timestampMs {
		p.startMs = startMs
	}
	if src.verbatim {
		p.origin = t.origin
	}
	if !src.verbatim && !p.stale {
		t.ofResource = true
		t.newestMs = max(t.newestMs, p.timestampMs)
	}
	return p
}

// malformed takes back the point that begin made last.
func (t *translator) malformed(reason string) {
	t.points = t.points[:len(t.points)-1]
	t.drop(reason, 1)
}

func (t *translator) milliseconds(at pcommon.Timestamp) int64 {
	if at == 0 {
		return t.nowMs
	}
	return int64(at / 1e6)
}

func (t *translator) number(dp pmetric.NumberDataPoint, src source, withExemplars bool) {
	p := t.begin(src, kindNumber, dp.Attributes(), dp.Timestamp(), dp.StartTimestamp(), dp.Flags())
	switch dp.ValueType() {
	case pmetric.NumberDataPointValueTypeInt:
		p.value = float64(dp.IntValue())
	case pmetric.NumberDataPointValueTypeDouble:
		p.value = dp.DoubleValue()
	}
	if withExemplars && !p.stale && dp.Exemplars().Len() > 0 {
		p.detail = &detail{exemplars: t.exemplars(dp.Exemplars())}
	}
}

func (t *translator) classic(dp pmetric.HistogramDataPoint, src source) {
	p := t.begin(src, kindClassic, dp.Attributes(), dp.Timestamp(), dp.StartTimestamp(), dp.Flags())
	p.hasSum = dp.HasSum() || p.stale
	p.detail = &detail{}
	if p.stale && dp.BucketCounts().Len() == 0 {
		return
	}
	var ok bool
	if p.detail.edges, p.detail.cumulative, ok = classicBuckets(dp); !ok {
		t.malformed(ledger.ReasonMalformed)
		return
	}
	if p.stale {
		return
	}
	p.detail.sum, p.detail.count = dp.Sum(), dp.Count()
	p.detail.exemplars = t.exemplars(dp.Exemplars())
}

// classicBuckets returns the finite upper bounds and the counts up to each.
func classicBuckets(dp pmetric.HistogramDataPoint) (edges []float64, cumulative []uint64, ok bool) {
	bounds, counts := dp.ExplicitBounds(), dp.BucketCounts()
	if bounds.Len() == 0 && counts.Len() == 0 {
		return nil, nil, true
	}
	if counts.Len() != bounds.Len()+1 {
		return nil, nil, false
	}
	edges = bounds.AsRaw()
	cumulative = make([]uint64, 0, len(edges))
	var sum uint64
	for i, edge := range edges {
		// Written so that a NaN fails too.
		if i > 0 && !(edge > edges[i-1]) || edge != edge {
			return nil, nil, false
		}
		sum += counts.At(i)
		cumulative = append(cumulative, sum)
	}
	if n := len(edges); n > 0 && edges[n-1] > maxFinite {
		edges, cumulative = edges[:n-1], cumulative[:n-1] // +Inf is the bucket that all have
	}
	return edges, cumulative, true
}

func (t *translator) summary(dp pmetric.SummaryDataPoint, src source) {
	p := t.begin(src, kindSummary, dp.Attributes(), dp.Timestamp(), dp.StartTimestamp(), dp.Flags())
	p.hasSum = true
	d := &detail{sum: dp.Sum(), count: dp.Count()}
	p.detail = d
	for _, q := range dp.QuantileValues().All() {
		if slices.Contains(d.edges, q.Quantile()) || q.Quantile() != q.Quantile() || len(d.edges) == maxQuantiles {
			t.malformed(ledger.ReasonMalformed)
			return
		}
		d.edges = append(d.edges, q.Quantile())
		d.quantiles = append(d.quantiles, q.Value())
	}
}

// maxQuantiles is beyond any summary that a client library makes.
const maxQuantiles = 128

func cutHelp(s string) string {
	if len(s) > maxHelpBytes {
		s = s[:maxHelpBytes]
		// The cut may have split a character.
		return strings.ToValidUTF8(s, "")
	}
	return validText(s)
}
