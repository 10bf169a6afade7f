package prometheus

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/prompb"
)

// textPage writes Prometheus's text format and OpenMetrics.
type textPage struct {
	openMetrics bool
	escaping    model.EscapingScheme

	name   string // of the family, escaped
	quoted bool   // the name is none of Prometheus 2 and stands within the braces
	typ    prompb.MetricMetadata_MetricType
	labels []byte // of the entry, as `a="b",c="d"`
}

func (w *textPage) begin(to []byte, f *family, first bool) []byte {
	form := nameForm(f.name)
	w.name, w.quoted, w.typ = escaped(f.name, form, w.escaping), form&notLegacy != 0 && w.escaping == model.NoEscaping, f.typ
	if !first {
		return to
	}
	described := w.name
	if w.openMetrics && f.typ == prompb.MetricMetadata_COUNTER {
		described = strings.TrimSuffix(described, "_total")
	}
	to = append(to, "# HELP "...)
	to = w.appendName(to, described)
	to = append(append(to, ' '), escapeHelp(f.help, w.openMetrics)...)
	to = append(to, "\n# TYPE "...)
	to = w.appendName(to, described)
	to = append(append(to, ' '), w.typeName(f)...)
	return append(to, '\n')
}

// nameForm: unlike those of labels, names of metrics may have colons.
func nameForm(name string) symbolForm { return formOf(strings.ReplaceAll(name, ":", "_")) }

func (w *textPage) appendName(to []byte, name string) []byte {
	if w.quoted {
		return strconv.AppendQuote(to, name)
	}
	return append(to, name...)
}

// typeName: in OpenMetrics a counter has "_total" at its end, or it gets it and
// then is another series. Kubernetes has counters without (kubelet_evictions), so
// those are shown with unknown type in that format.
func (w *textPage) typeName(f *family) string {
	switch f.typ {
	case prompb.MetricMetadata_COUNTER:
		if w.openMetrics && !strings.HasSuffix(f.name, "_total") {
			return "unknown"
		}
		return "counter"
	case prompb.MetricMetadata_GAUGE, prompb.MetricMetadata_INFO, prompb.MetricMetadata_STATESET:
		return "gauge"
	case prompb.MetricMetadata_HISTOGRAM:
		return "histogram"
	case prompb.MetricMetadata_SUMMARY:
		return "summary"
	default:
		if w.openMetrics {
			return "unknown"
		}
		return "untyped"
	}
}

func escapeHelp(help string, openMetrics bool) string {
	if !strings.ContainsAny(help, "\\\n\"") {
		return help
	}
	help = strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(help)
	if openMetrics {
		help = strings.ReplaceAll(help, `"`, `\"`)
	}
	return help
}

func (w *textPage) add(to []byte, _ *family, e *entry, s *symbols) []byte {
	w.labels = w.labels[:0]
	for set := e.labels; set != ""; {
		var name, value *symbol
		name, value, set = s.next(set)
		if name.text != nameLabel {
			w.labels = w.appendLabel(w.labels, name.text, name.form, value.text, value.form)
		}
	}
	switch e.kind {
	case kindNumber:
		to = w.appendFloat(w.appendSeries(to, "", "", 0), e.value)
		if w.openMetrics && w.typ == prompb.MetricMetadata_COUNTER && e.detail != nil && strings.HasSuffix(w.name, "_total") {
			to = w.appendExemplar(to, e.detail.exemplars)
		}
		return append(to, '\n')
	case kindSummary:
		return w.addSummary(to, e)
	default:
		return w.addHistogram(to, e)
	}
}

// addHistogram writes the buckets of a classic histogram, and of a native one
// what text has: count and sum.
func (w *textPage) addHistogram(to []byte, e *entry) []byte {
	d := e.detail
	count, sum, edges := d.count, d.sum, d.edges
	if d.native != nil {
		count, sum, edges = d.native.Count, d.native.Sum, nil
	}
	lower := math.Inf(-1)
	for i := range len(edges) + 1 {
		edge, n := math.Inf(1), count
		if i < len(edges) {
			edge, n = edges[i], d.cumulative[i]
		}
		to = strconv.AppendUint(w.appendSeries(to, "_bucket", bucketLabel, edge), n, 10)
		if w.openMetrics && d.native == nil {
			to = w.appendExemplar(to, exemplarsBetween(d.exemplars, lower, edge))
		}
		to = append(to, '\n')
		lower = edge
	}
	if e.hasSum || d.native != nil {
		to = append(w.appendFloat(w.appendSeries(to, "_sum", "", 0), sum), '\n')
	}
	return append(strconv.AppendUint(w.appendSeries(to, "_count", "", 0), count, 10), '\n')
}

func (w *textPage) addSummary(to []byte, e *entry) []byte {
	d := e.detail
	for _, i := range byEdge(d.edges) {
		to = append(w.appendFloat(w.appendSeries(to, "", quantileLabel, d.edges[i]), d.quantiles[i]), '\n')
	}
	to = append(w.appendFloat(w.appendSeries(to, "_sum", "", 0), d.sum), '\n')
	return append(strconv.AppendUint(w.appendSeries(to, "_count", "", 0), d.count, 10), '\n')
}

// byEdge returns the places of a summary's quantiles in ascending order.
func byEdge(edges []float64) []int {
	order := make([]int, len(edges))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if edges[a] < edges[b] {
			return -1
		}
		return 1
	})
	return order
}

// appendSeries appends all of a line but the value.
func (w *textPage) appendSeries(to []byte, suffix, extra string, edge float64) []byte {
	if !w.quoted {
		to = append(append(to, w.name...), suffix...)
		if len(w.labels) == 0 && extra == "" {
			return append(to, ' ')
		}
		to = append(to, '{')
	} else {
		to = strconv.AppendQuote(append(to, '{'), w.name+suffix)
		if len(w.labels) > 0 || extra != "" {
			to = append(to, ',')
		}
	}
	to = append(to, w.labels...)
	if extra != "" {
		if len(w.labels) > 0 {
			to = append(to, ',')
		}
		to = append(append(to, extra...), '=', '"')
		to = append(w.appendFloat(to, edge), '"')
	}
	return append(to, '}', ' ')
}

func (w *textPage) appendLabel(to []byte, name string, nameForm symbolForm, value string, valueForm symbolForm) []byte {
	if len(to) > 0 {
		to = append(to, ',')
	}
	switch {
	case nameForm&notLegacy == 0:
		to = append(to, name...)
	case w.escaping == model.NoEscaping:
		to = strconv.AppendQuote(to, name)
	default:
		to = append(to, model.EscapeName(name, w.escaping)...)
	}
	to = append(to, '=', '"')
	if valueForm&needsEscape != 0 {
		value = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(value)
	}
	return append(append(to, value...), '"')
}

// appendFloat writes a number; OpenMetrics wants to see that it is no integer.
func (w *textPage) appendFloat(to []byte, v float64) []byte {
	switch {
	case v == math.Trunc(v) && math.Abs(v) < 1e15 && (v != 0 || !math.Signbit(v)):
		to = strconv.AppendInt(to, int64(v), 10)
	case math.IsNaN(v):
		return append(to, "NaN"...)
	case math.IsInf(v, 1):
		return append(to, "+Inf"...)
	case math.IsInf(v, -1):
		return append(to, "-Inf"...)
	default:
		from := len(to)
		to = strconv.AppendFloat(to, v, 'g', -1, 64)
		if slices.ContainsFunc(to[from:], func(c byte) bool { return c == '.' || c == 'e' }) {
			return to
		}
	}
	if w.openMetrics {
		to = append(to, ".0"...)
	}
	return to
}

// appendExemplar writes the latest one.
func (w *textPage) appendExemplar(to []byte, from []exemplar) []byte {
	if len(from) == 0 {
		return to
	}
	x := &from[len(from)-1]
	to = append(to, " # {"...)
	var own []byte
	for rest := x.labels; len(rest) > 0; {
		var name, value []byte
		name, value, rest = rest.next()
		own = w.appendLabel(own, string(name), formOf(string(name)), string(value), formOf(string(value)))
	}
	to = append(append(to, own...), "} "...)
	to = append(w.appendFloat(to, x.value), ' ')
	return w.appendFloat(to, float64(x.timestampMs)/1000)
}

func (w *textPage) end(to []byte) []byte { return to }

func (w *textPage) close(to []byte) []byte {
	if w.openMetrics {
		to = append(to, "# EOF\n"...)
	}
	return to
}
