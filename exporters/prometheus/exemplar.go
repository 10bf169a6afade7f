package prometheus

import (
	"cmp"
	"encoding/hex"
	"slices"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	// maxExemplarRunes bounds names and values of an exemplar's labels together
	// (OpenMetrics 1.0); Prometheus refuses longer ones.
	maxExemplarRunes = 128
	// maxExemplarsPerPoint keeps a hostile point from growing a request without bound.
	maxExemplarsPerPoint = 256
)

// exemplars translates and sorts by time, as Prometheus wants them.
func (t *translator) exemplars(from pmetric.ExemplarSlice) []exemplar {
	if from.Len() == 0 {
		return nil
	}
	out := make([]exemplar, 0, min(from.Len(), maxExemplarsPerPoint))
	for _, e := range from.All() {
		if len(out) == maxExemplarsPerPoint {
			break
		}
		x := exemplar{labels: t.exemplarLabels(e), timestampMs: t.milliseconds(e.Timestamp())}
		switch e.ValueType() {
		case pmetric.ExemplarValueTypeInt:
			x.value = float64(e.IntValue())
		case pmetric.ExemplarValueTypeDouble:
			x.value = e.DoubleValue()
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b exemplar) int { return cmp.Compare(a.timestampMs, b.timestampMs) })
	return out
}

// exemplarLabels keeps the trace and span first, then as many attributes as fit.
func (t *translator) exemplarLabels(e pmetric.Exemplar) packed {
	var out []label
	runes := 0
	add := func(name, value string) {
		n := utf8.RuneCountInString(name) + utf8.RuneCountInString(value)
		taken := slices.ContainsFunc(out, func(l label) bool { return l.Name == name })
		if value == "" || taken || runes+n > maxExemplarRunes {
			return
		}
		runes += n
		out = append(out, label{Name: name, Value: value})
	}
	if id := e.TraceID(); !id.IsEmpty() {
		add("trace_id", hex.EncodeToString(id[:]))
	}
	if id := e.SpanID(); !id.IsEmpty() {
		add("span_id", hex.EncodeToString(id[:]))
	}
	for _, l := range sortedAttributes(e.FilteredAttributes()) {
		add(t.name(l.Name, false), l.Value)
	}
	slices.SortFunc(out, compareLabels)
	return pack(out)
}

// sortedAttributes makes what is taken independent of the sender's order.
func sortedAttributes(attrs pcommon.Map) []label {
	out := make([]label, 0, attrs.Len())
	for k, v := range attrs.All() {
		out = append(out, label{Name: k, Value: labelValue(v)})
	}
	slices.SortStableFunc(out, compareLabels)
	return out
}
