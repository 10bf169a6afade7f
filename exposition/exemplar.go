package exposition

import (
	"encoding/hex"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// PutExemplars adds exemplars of a value at a time (milliseconds since 1970),
// which is theirs where they have none.
func PutExemplars(to pmetric.ExemplarSlice, from []exemplar.Exemplar, at int64) {
	for _, e := range from {
		PutExemplar(to.AppendEmpty(), e, at)
	}
}

// PutExemplar is PutExemplars for one.
func PutExemplar(to pmetric.Exemplar, from exemplar.Exemplar, at int64) {
	to.SetDoubleValue(from.Value)
	to.SetTimestamp(Timestamp(at))
	if from.HasTs && from.Ts > 0 && from.Ts < MaxMilliseconds {
		to.SetTimestamp(Timestamp(from.Ts))
	}
	from.Labels.Range(func(l labels.Label) { putExemplarLabel(to, l) })
}

// putExemplarLabel gives trace and span ids their fields, other labels and ids of
// another form an attribute.
func putExemplarLabel(to pmetric.Exemplar, l labels.Label) {
	var trace pcommon.TraceID
	var span pcommon.SpanID
	switch {
	case l.Name == "trace_id" && decodeHex(trace[:], l.Value):
		to.SetTraceID(trace)
	case l.Name == "span_id" && decodeHex(span[:], l.Value):
		to.SetSpanID(span)
	default:
		to.FilteredAttributes().PutStr(l.Name, l.Value)
	}
}

// decodeHex fills to from text and says whether text was just that long.
func decodeHex(to []byte, text string) bool {
	if len(text) != hex.EncodedLen(len(to)) {
		return false
	}
	_, err := hex.Decode(to, []byte(text))
	return err == nil
}
