package prometheus

import (
	"encoding/binary"
	"math"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/prompb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// protoPage writes delimited io.prometheus.client.MetricFamily messages. A large
// family becomes several messages, since the length of one comes before it.
type protoPage struct {
	escaping model.EscapingScheme

	message []byte // the family that is being made
	metric  []byte
	part    []byte
	typ     dto.MetricType
}

// Fields of MetricFamily, Metric and its values.
const (
	tagFamilyName   = 1<<3 | 2
	tagFamilyHelp   = 2<<3 | 2
	tagFamilyType   = 3 << 3
	tagFamilyMetric = 4<<3 | 2
	tagFamilyUnit   = 5<<3 | 2

	tagMetricLabel     = 1<<3 | 2 // LabelPair is like remote write's Label
	tagMetricGauge     = 2<<3 | 2
	tagMetricCounter   = 3<<3 | 2
	tagMetricSummary   = 4<<3 | 2
	tagMetricUntyped   = 5<<3 | 2
	tagMetricHistogram = 7<<3 | 2

	tagValue           = 1<<3 | 1 // Gauge, Counter, Untyped
	tagCounterExemplar = 2<<3 | 2
	tagCounterCreated  = 3<<3 | 2
)

func (w *protoPage) begin(to []byte, f *family, _ bool) []byte {
	w.typ = protoType(f)
	w.message = appendText(w.message[:0], tagFamilyName, escaped(f.name, nameForm(f.name), w.escaping))
	w.message = appendText(w.message, tagFamilyHelp, f.help)
	w.message = appendInt(w.message, tagFamilyType, int64(w.typ))
	if f.unit != "" {
		w.message = appendText(w.message, tagFamilyUnit, f.unit)
	}
	return to
}

func protoType(f *family) dto.MetricType {
	switch f.typ {
	case prompb.MetricMetadata_COUNTER:
		return dto.MetricType_COUNTER
	case prompb.MetricMetadata_GAUGE, prompb.MetricMetadata_INFO, prompb.MetricMetadata_STATESET:
		return dto.MetricType_GAUGE
	case prompb.MetricMetadata_HISTOGRAM:
		return dto.MetricType_HISTOGRAM
	case prompb.MetricMetadata_SUMMARY:
		return dto.MetricType_SUMMARY
	default:
		return dto.MetricType_UNTYPED
	}
}

func (w *protoPage) add(to []byte, _ *family, e *entry, s *symbols) []byte {
	w.metric = w.metric[:0]
	for set := e.labels; set != ""; {
		var name, value *symbol
		name, value, set = s.next(set)
		if name.text != nameLabel {
			// appendLabel's tag is that of Metric.label as well.
			w.metric = appendLabel(w.metric, escaped(name.text, name.form, w.escaping), value.text)
		}
	}
	w.addValue(e)
	w.message = appendMessage(w.message, tagFamilyMetric, w.metric)
	return to
}

func (w *protoPage) addValue(e *entry) {
	switch {
	case e.kind == kindSummary:
		w.addMessage(tagMetricSummary, protoSummary(e))
	case e.kind == kindClassic:
		w.addMessage(tagMetricHistogram, w.protoClassic(e))
	case e.kind == kindNative:
		w.addMessage(tagMetricHistogram, w.protoNative(e))
	case w.typ == dto.MetricType_COUNTER:
		w.part = appendDouble(w.part[:0], tagValue, e.value)
		if d := e.detail; d != nil && len(d.exemplars) > 0 {
			w.part = appendMessage(w.part, tagCounterExemplar, marshaled(w.protoExemplar(d.exemplars[len(d.exemplars)-1])))
		}
		if e.startMs != 0 {
			w.part = appendMessage(w.part, tagCounterCreated, marshaled(protoTime(e.startMs)))
		}
		w.metric = appendMessage(w.metric, tagMetricCounter, w.part)
	case w.typ == dto.MetricType_GAUGE:
		w.part = appendDouble(w.part[:0], tagValue, e.value)
		w.metric = appendMessage(w.metric, tagMetricGauge, w.part)
	default:
		w.part = appendDouble(w.part[:0], tagValue, e.value)
		w.metric = appendMessage(w.metric, tagMetricUntyped, w.part)
	}
}

func (w *protoPage) addMessage(tag byte, m proto.Message) {
	w.metric = appendMessage(w.metric, tag, marshaled(m))
}

// marshaled: what is made here has no field that cannot be encoded.
func marshaled(m proto.Message) []byte {
	b, _ := proto.Marshal(m)
	return b
}

func (w *protoPage) end(to []byte) []byte {
	to = binary.AppendUvarint(to, uint64(len(w.message)))
	return append(to, w.message...)
}

func (w *protoPage) close(to []byte) []byte { return to }

func protoTime(ms int64) *timestamppb.Timestamp {
	return &timestamppb.Timestamp{Seconds: ms / 1000, Nanos: int32(ms % 1000 * 1e6)}
}

func protoSummary(e *entry) *dto.Summary {
	d := e.detail
	s := &dto.Summary{SampleCount: proto.Uint64(d.count), SampleSum: proto.Float64(d.sum)}
	for _, i := range byEdge(d.edges) {
		s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: proto.Float64(d.edges[i]), Value: proto.Float64(d.quantiles[i])})
	}
	if e.startMs != 0 {
		s.CreatedTimestamp = protoTime(e.startMs)
	}
	return s
}

func (w *protoPage) protoClassic(e *entry) *dto.Histogram {
	d := e.detail
	h := &dto.Histogram{SampleCount: proto.Uint64(d.count)}
	if e.hasSum {
		h.SampleSum = proto.Float64(d.sum)
	}
	if e.startMs != 0 {
		h.CreatedTimestamp = protoTime(e.startMs)
	}
	lower := math.Inf(-1)
	for i := range len(d.edges) + 1 {
		edge, n := math.Inf(1), d.count
		if i < len(d.edges) {
			edge, n = d.edges[i], d.cumulative[i]
		}
		b := &dto.Bucket{UpperBound: proto.Float64(edge), CumulativeCount: proto.Uint64(n)}
		if in := exemplarsBetween(d.exemplars, lower, edge); len(in) > 0 {
			b.Exemplar = w.protoExemplar(in[len(in)-1])
		}
		h.Bucket = append(h.Bucket, b)
		lower = edge
	}
	return h
}

func (w *protoPage) protoNative(e *entry) *dto.Histogram {
	n := e.detail.native
	h := &dto.Histogram{
		SampleCount:   proto.Uint64(n.Count),
		SampleSum:     proto.Float64(n.Sum),
		Schema:        proto.Int32(n.Schema),
		ZeroThreshold: proto.Float64(n.ZeroThreshold),
		ZeroCount:     proto.Uint64(n.ZeroCount),
		PositiveSpan:  protoSpans(n.PositiveSpans),
		PositiveDelta: n.PositiveBuckets,
		NegativeSpan:  protoSpans(n.NegativeSpans),
		NegativeDelta: n.NegativeBuckets,
	}
	if e.startMs != 0 {
		h.CreatedTimestamp = protoTime(e.startMs)
	}
	if len(h.PositiveSpan) == 0 && len(h.NegativeSpan) == 0 && n.ZeroCount == 0 {
		// A histogram without observations needs a span to be told from a classic one.
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}
	for _, x := range e.detail.exemplars {
		h.Exemplars = append(h.Exemplars, w.protoExemplar(x))
	}
	return h
}

func protoSpans(from []histogram.Span) []*dto.BucketSpan {
	out := make([]*dto.BucketSpan, 0, len(from))
	for _, s := range from {
		out = append(out, &dto.BucketSpan{Offset: proto.Int32(s.Offset), Length: proto.Uint32(s.Length)})
	}
	return out
}

func (w *protoPage) protoExemplar(x exemplar) *dto.Exemplar {
	out := &dto.Exemplar{Value: proto.Float64(x.value), Timestamp: protoTime(x.timestampMs)}
	for rest := x.labels; len(rest) > 0; {
		var name, value []byte
		name, value, rest = rest.next()
		own := string(name)
		out.Label = append(out.Label, &dto.LabelPair{Name: proto.String(escaped(own, formOf(own), w.escaping)), Value: proto.String(string(value))})
	}
	return out
}
