package prometheus

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// label is one label, before it is packed.
type label struct {
	Name, Value string
}

// labeler makes the label sets of points. It is for one goroutine.
type labeler struct {
	namer   otlptranslator.LabelNamer
	arena   byteArena
	layout  layout
	values  []string
	scratch []byte
}

// labelSource is what the points of a metric share.
type labelSource struct {
	metric   string
	resource []label // sorted
	verbatim bool    // names are taken as they are
	// reserved (le, quantile, or nothing) is the label that the points' series
	// get later; an attribute of that name is kept as exported_<name>.
	reserved string
}

// layout is where each of a point's attributes goes, and the resource's labels
// with them. Points mostly have the attributes of the one before, in the same
// order, so that names are translated and sorted once.
type layout struct {
	of    labelSource // but for the metric
	keys  []string
	steps []step
	valid bool
}

// step appends one label: of the resource, an attribute's, or the metric's name.
type step struct {
	literal []byte // of the resource; nil if not
	name    string
	attr    int // of name; metricName for none
}

const metricName = -1

// unnamed replaces label names of which no letter or digit is left.
const unnamed = "unnamed"

// reset takes back all label sets and forgets the layout, which refers to the
// strings of a batch.
func (b *labeler) reset() {
	b.arena.reset()
	clear(b.layout.keys)
	clear(b.layout.steps)
	clear(b.values[:cap(b.values)])
	b.layout.valid, b.layout.of = false, labelSource{}
}

// build merges a point's attributes with its resource's labels (only where the
// point has no label of that name, an empty one included) and the metric's name.
func (b *labeler) build(src labelSource, attrs pcommon.Map) packed {
	if !b.layout.suits(src) || !b.take(attrs) {
		if !b.learn(src, attrs) {
			return b.buildJoined(src, attrs)
		}
		b.take(attrs)
	}
	out := b.scratch[:0]
	for i := range b.layout.steps {
		switch s := &b.layout.steps[i]; {
		case s.literal != nil:
			out = append(out, s.literal...)
		case s.attr == metricName:
			out = appendLabel(out, nameLabel, src.metric)
		case b.values[s.attr] != "":
			out = appendLabel(out, s.name, b.values[s.attr])
		}
	}
	b.scratch = out
	return b.arena.copy(out)
}

func (l *layout) suits(src labelSource) bool {
	return l.valid && l.of.verbatim == src.verbatim && l.of.reserved == src.reserved && sameSlice(l.of.resource, src.resource)
}

func sameSlice(a, b []label) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// take reads the attributes' values; false if they are not the layout's.
func (b *labeler) take(attrs pcommon.Map) bool {
	b.values = b.values[:0]
	if attrs.Len() != len(b.layout.keys) {
		return false
	}
	for k, v := range attrs.All() {
		if k != b.layout.keys[len(b.values)] {
			return false
		}
		b.values = append(b.values, labelValue(v))
	}
	return true
}

// learn makes the layout of a point's attributes; false if some of their names
// become the same.
func (b *labeler) learn(src labelSource, attrs pcommon.Map) bool {
	l := &b.layout
	l.of, l.keys, l.steps = src, l.keys[:0], append(l.steps[:0], step{name: nameLabel, attr: metricName})
	l.valid = false
	for k := range attrs.All() {
		if name := b.attributeName(k, src); name != nameLabel {
			l.steps = append(l.steps, step{name: name, attr: len(l.keys)})
		}
		l.keys = append(l.keys, k)
	}
	byName := func(a, b step) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(l.steps, byName)
	for i := 1; i < len(l.steps); i++ {
		if l.steps[i].name == l.steps[i-1].name {
			return false
		}
	}
	own := len(l.steps)
	for _, r := range src.resource {
		if _, taken := slices.BinarySearchFunc(l.steps[:own], step{name: r.Name}, byName); !taken && r.Value != "" {
			l.steps = append(l.steps, step{name: r.Name, literal: appendLabel(nil, r.Name, r.Value)})
		}
	}
	slices.SortFunc(l.steps, byName)
	l.valid = true
	return true
}

func (b *labeler) attributeName(key string, src labelSource) string {
	name := b.name(key, src.verbatim)
	if name == src.reserved {
		return "exported_" + name
	}
	return name
}

func (b *labeler) name(key string, verbatim bool) string {
	if isPlainName(key) {
		return key
	}
	if verbatim && key != "" {
		return strings.ToValidUTF8(key, "\uFFFD")
	}
	name, err := b.namer.Build(key)
	if err != nil {
		return unnamed
	}
	return name
}

// isPlainName: a label name that translation leaves as it is.
func isPlainName(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	letters, underscore := false, false
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			letters, underscore = true, false
		case c == '_' && !underscore:
			underscore = true
		default:
			return false
		}
	}
	return letters
}

func labelValue(v pcommon.Value) string {
	if v.Type() == pcommon.ValueTypeStr {
		return validText(v.Str())
	}
	return validText(v.AsString())
}

func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// buildJoined is the rare way: attributes whose names became the same are
// joined by ";" in the order of their original names, as the OpenTelemetry
// specification has it, so that the result does not depend on the sender's order.
func (b *labeler) buildJoined(src labelSource, attrs pcommon.Map) packed {
	given := sortedAttributes(attrs)
	// A sender may repeat a key; the first value counts.
	given = slices.CompactFunc(given, func(x, y label) bool { return x.Name == y.Name })
	joined := []label{{Name: nameLabel, Value: src.metric}}
	for _, l := range given {
		if l.Name = b.attributeName(l.Name, src); l.Name != nameLabel {
			joined = append(joined, l)
		}
	}
	slices.SortStableFunc(joined, compareLabels)
	own := joined[:1]
	for _, l := range joined[1:] {
		if last := &own[len(own)-1]; last.Name == l.Name {
			last.Value += ";" + l.Value
		} else {
			own = append(own, l)
		}
	}
	for _, r := range src.resource {
		if !slices.ContainsFunc(own, func(l label) bool { return l.Name == r.Name }) {
			own = append(own, r)
		}
	}
	slices.SortFunc(own, compareLabels)
	return pack(own)
}

// pack leaves out labels with an empty value: to Prometheus they do not exist.
func pack(sorted []label) packed {
	var out packed
	for _, l := range sorted {
		if l.Value != "" {
			out = appendLabel(out, l.Name, l.Value)
		}
	}
	return out
}

func compareLabels(a, b label) int { return strings.Compare(a.Name, b.Name) }
