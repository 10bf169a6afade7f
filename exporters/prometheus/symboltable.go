package prometheus

import (
	"bytes"
	"encoding/binary"
)

// symbolTable is that of one remote write 2.0 request: text 0 is empty.
type symbolTable struct {
	refs  map[string]uint32
	texts []string
	// last are the labels of the series before, by position: neighbours share
	// their names and most of their values, and then need no look-up.
	last []lastLabel
	name []byte // of a series with a suffix
}

type lastLabel struct {
	packed packed // this one label
	refs   []byte
}

func (t *symbolTable) reset() {
	if t.refs == nil {
		t.refs = make(map[string]uint32)
	}
	clear(t.refs)
	clear(t.texts)
	t.texts = append(t.texts[:0], "")
	for i := range t.last {
		t.last[i].packed = nil
	}
}

func (t *symbolTable) refOf(text []byte) uint32 {
	if len(text) == 0 {
		return 0
	}
	ref, ok := t.refs[string(text)]
	if !ok {
		ref = uint32(len(t.texts))
		own := string(text)
		t.refs[own] = ref
		t.texts = append(t.texts, own)
	}
	return ref
}

// appendSeriesRefs appends the references of one sample's labels.
func (t *symbolTable) appendSeriesRefs(to []byte, p *point, s *sample) []byte {
	if s.suffix == "" && s.extra == "" {
		return t.appendRefs(to, p.labels)
	}
	extra := s.extra
	for i, rest := 0, p.labels; len(rest) > 0; i++ {
		name, value, after := rest.next()
		if extra != "" && string(name) > extra {
			to, extra = t.appendExtra(to, s), ""
		}
		if string(name) == nameLabel {
			t.name = append(append(t.name[:0], value...), s.suffix...)
			to = t.appendPair(to, name, t.name)
		} else {
			to = t.appendLabelRefs(to, i, rest[:len(rest)-len(after)])
		}
		rest = after
	}
	if extra != "" {
		to = t.appendExtra(to, s)
	}
	return to
}

func (t *symbolTable) appendExtra(to []byte, s *sample) []byte {
	to = binary.AppendUvarint(to, uint64(t.refOf([]byte(s.extra))))
	return binary.AppendUvarint(to, uint64(t.refOf([]byte(s.extraValue))))
}

func (t *symbolTable) appendPair(to []byte, name, value []byte) []byte {
	to = binary.AppendUvarint(to, uint64(t.refOf(name)))
	return binary.AppendUvarint(to, uint64(t.refOf(value)))
}

func (t *symbolTable) appendRefs(to []byte, labels packed) []byte {
	for i := 0; len(labels) > 0; i++ {
		length, size := shortUvarint(labels[1:])
		end := 1 + size + length
		to = t.appendLabelRefs(to, i, labels[:end])
		labels = labels[end:]
	}
	return to
}

// appendLabelRefs appends the references of the label at a position.
func (t *symbolTable) appendLabelRefs(to []byte, position int, one packed) []byte {
	for position >= len(t.last) {
		t.last = append(t.last, lastLabel{})
	}
	l := &t.last[position]
	if !bytes.Equal(l.packed, one) {
		name, value, _ := one.next()
		l.packed, l.refs = one, t.appendPair(l.refs[:0], name, value)
	}
	return append(to, l.refs...)
}

func (t *symbolTable) appendTo(to []byte) []byte {
	for _, text := range t.texts {
		to = appendText(to, tagV2Symbol, text)
	}
	return to
}
