package prometheus

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// labeler makes the label sets of points. It is for one goroutine.
type labeler struct {
	namer   otlptranslator.LabelNamer
	arena   labelArena
	scratch []label
	hashed  []byte
}

// unnamed replaces label names of which no letter or digit is left.
const unnamed = "unnamed"

// build merges a point's attributes with its resource's labels (sorted, and
// only where the point has no label of that name) and the metric's name. With
// verbatim, names are taken as they are. reserved (le, quantile, or nothing) is
// the label that the point's series get later; an attribute of that name is kept
// as exported_<name>.
func (b *labeler) build(metric string, attrs pcommon.Map, resource []label, verbatim bool, reserved string) []label {
	own := append(b.scratch[:0], label{Name: nameLabel, Value: metric})
	for k, v := range attrs.All() {
		name := b.name(k, verbatim)
		switch name {
		case nameLabel:
			continue
		case reserved:
			name = "exported_" + name
		}
		own = append(own, label{Name: name, Value: labelValue(v)})
	}
	slices.SortStableFunc(own, compareLabels)
	if hasDuplicates(own) {
		own = b.joinDuplicates(own, attrs, verbatim, reserved)
	}
	b.scratch = own
	return mergeLabels(b.arena.grow(len(own)+len(resource)), own, resource)
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

func labelValue(v pcommon.Value) string { return validText(v.AsString()) }

func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func hasDuplicates(sorted []label) bool {
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Name == sorted[i-1].Name {
			return true
		}
	}
	return false
}

// joinDuplicates is the rare way: attributes whose names became the same are
// joined by ";" in the order of their original names, as the OpenTelemetry
// specification has it, so that the result does not depend on the sender's order.
func (b *labeler) joinDuplicates(own []label, attrs pcommon.Map, verbatim bool, reserved string) []label {
	metric := label{}
	for _, l := range own {
		if l.Name == nameLabel {
			metric = l
		}
	}
	given := make([]label, 0, attrs.Len()) // by original name
	for k, v := range attrs.All() {
		given = append(given, label{Name: k, Value: labelValue(v)})
	}
	slices.SortStableFunc(given, compareLabels)
	// A sender may repeat a key; the first value counts.
	given = slices.CompactFunc(given, func(x, y label) bool { return x.Name == y.Name })
	joined := append(own[:0], metric)
	for _, l := range given {
		l.Name = b.name(l.Name, verbatim)
		if l.Name == nameLabel {
			continue
		}
		if l.Name == reserved {
			l.Name = "exported_" + l.Name
		}
		joined = append(joined, l)
	}
	slices.SortStableFunc(joined, compareLabels)
	out := joined[:1]
	for _, l := range joined[1:] {
		if last := &out[len(out)-1]; last.Name == l.Name {
			last.Value += ";" + l.Value
		} else {
			out = append(out, l)
		}
	}
	return out
}

// mergeLabels appends to dst the labels of both sorted lists, first's where
// both have the name, and leaves out those with an empty value: to Prometheus
// they do not exist.
func mergeLabels(dst, first, second []label) []label {
	for len(first) > 0 || len(second) > 0 {
		var l label
		switch {
		case len(second) == 0 || len(first) > 0 && first[0].Name <= second[0].Name:
			l, first = first[0], first[1:]
			if len(second) > 0 && second[0].Name == l.Name {
				second = second[1:]
			}
		default:
			l, second = second[0], second[1:]
		}
		if l.Value != "" {
			dst = append(dst, l)
		}
	}
	return dst
}

// hash is stable across processes, since it decides a series' shard.
func (b *labeler) hash(ls []label) uint64 {
	h := b.hashed[:0]
	for i := range ls {
		h = append(h, ls[i].Name...)
		h = append(h, 0xff) // in no UTF-8 text
		h = append(h, ls[i].Value...)
		h = append(h, 0xff)
	}
	b.hashed = h
	return xxhash.Sum64(h)
}
