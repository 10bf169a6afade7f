package prometheus

import (
	"slices"
	"strings"

	"github.com/prometheus/otlptranslator"
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

// translator turns pdata into points. It is for one goroutine and one batch;
// the batch's labels are cut from its arena.
type translator struct {
	labeler
	batch
	metrics otlptranslator.MetricNamer
	units   otlptranslator.UnitNamer
	nowMs   int64 // for data points without a timestamp
	// newestMs is the latest timestamp of the resource's points so far.
	newestMs int64
	// ofResource tells that the resource has points which target_info may describe.
	ofResource bool
}

// translate never fails: what has no translation is counted in the batch.
func translate(md pmetric.Metrics, nowMs int64) batch {
	t := translator{
		metrics: otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes),
		nowMs:   nowMs,
	}
	t.items = md.DataPointCount()
	t.points = make([]point, 0, t.items+md.ResourceMetrics().Len())
	for _, rm := range md.ResourceMetrics().All() {
		t.resource(rm)
	}
	return t.batch
}

func (t *translator) resource(rm pmetric.ResourceMetrics) {
	attrs := rm.Resource().Attributes()
	r := newResourceLabels(attrs)
	t.newestMs, t.ofResource = 0, false
	for _, sm := range rm.ScopeMetrics().All() {
		scoped := withScope(r.otel, sm.Scope())
		for _, m := range sm.Metrics().All() {
			t.metric(m, r.exposition, scoped)
		}
	}
	if !t.ofResource {
		return
	}
	if labels, ok := t.labeler.targetInfo(attrs, r); ok {
		t.points = append(t.points, point{
			family: targetInfoFamily, labels: labels, hash: t.hash(labels),
			kind: kindNumber, value: 1, timestampMs: t.newestMs, derived: true,
		})
	}
}

// source is a metric's part of its points.
type source struct {
	family   *family
	labels   []label // of the resource
	verbatim bool
}

func (t *translator) metric(m pmetric.Metric, exposition, otel []label) {
	if reason := untranslatable(m); reason != "" {
		t.drop(reason, pointsOf(m))
		return
	}
	declared, verbatim := m.Metadata().Get(typeMetadata)
	src := source{labels: otel, verbatim: verbatim}
	f := &family{help: cutHelp(m.Description())}
	if verbatim {
		src.labels = exposition
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
	src.family = f
	t.pointsFrom(m, src)
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
func (t *translator) begin(src source, kind pointKind, reserved string, attrs pcommon.Map, at, start pcommon.Timestamp, flags pmetric.DataPointFlags) *point {
	labels := t.build(src.family.name, attrs, src.labels, src.verbatim, reserved)
	t.points = append(t.points, point{
		family: src.family, labels: labels, hash: t.hash(labels), kind: kind,
		stale: flags.NoRecordedValue(), timestampMs: t.milliseconds(at), startMs: int64(start) / 1e6,
	})
	p := &t.points[len(t.points)-1]
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
	p := t.begin(src, kindNumber, "", dp.Attributes(), dp.Timestamp(), dp.StartTimestamp(), dp.Flags())
	switch dp.ValueType() {
	case pmetric.NumberDataPointValueTypeInt:
		p.value = float64(dp.IntValue())
	case pmetric.NumberDataPointValueTypeDouble:
		p.value = dp.DoubleValue()
	}
	if withExemplars && !p.stale {
		p.exemplars = t.exemplars(dp.Exemplars())
	}
}

func (t *translator) classic(dp pmetric.HistogramDataPoint, src source) {
	p := t.begin(src, kindClassic, bucketLabel, dp.Attributes(), dp.Timestamp(), dp.StartTimestamp(), dp.Flags())
	p.hasSum = dp.HasSum() || p.stale
	if p.stale && dp.BucketCounts().Len() == 0 {
		return
	}
	var ok bool
	if p.edges, p.cumulative, ok = classicBuckets(dp); !ok {
		t.malformed(ledger.ReasonMalformed)
		return
	}
	if p.stale {
		return
	}
	p.sum, p.count = dp.Sum(), dp.Count()
	p.exemplars = t.exemplars(dp.Exemplars())
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
	p := t.begin(src, kindSummary, quantileLabel, dp.Attributes(), dp.Timestamp(), dp.StartTimestamp(), dp.Flags())
	p.hasSum = true
	p.sum, p.count = dp.Sum(), dp.Count()
	for _, q := range dp.QuantileValues().All() {
		if slices.Contains(p.edges, q.Quantile()) || q.Quantile() != q.Quantile() || len(p.edges) == maxQuantiles {
			t.malformed(ledger.ReasonMalformed)
			return
		}
		p.edges = append(p.edges, q.Quantile())
		p.quantiles = append(p.quantiles, q.Value())
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
