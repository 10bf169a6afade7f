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
}

type lastLabel struct {
	name, value       []byte
	nameRef, valueRef uint32
}

func (t *symbolTable) reset() {
	if t.refs == nil {
		t.refs = make(map[string]uint32)
	}
	clear(t.refs)
	clear(t.texts)
	t.texts = append(t.texts[:0], "")
	t.last = t.last[:0]
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
		var name, value []byte
		name, value, rest = rest.next()
		if extra != "" && string(name) > extra {
			to, extra = t.appendExtra(to, s), ""
		}
		if string(name) == nameLabel {
			to = binary.AppendUvarint(to, uint64(t.refOf(name)))
			to = binary.AppendUvarint(to, uint64(t.refOf(append(append([]byte(nil), value...), s.suffix...))))
			continue
		}
		to = t.appendLabelRefs(to, i, name, value)
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

func (t *symbolTable) appendRefs(to []byte, labels packed) []byte {
	for i := 0; len(labels) > 0; i++ {
		var name, value []byte
		name, value, labels = labels.next()
		to = t.appendLabelRefs(to, i, name, value)
	}
	return to
}

func (t *symbolTable) appendLabelRefs(to []byte, position int, name, value []byte) []byte {
	for position >= len(t.last) {
		t.last = append(t.last, lastLabel{})
	}
	l := &t.last[position]
	if !bytes.Equal(l.name, name) {
		l.name, l.nameRef = name, t.refOf(name)
	}
	if !bytes.Equal(l.value, value) {
		l.value, l.valueRef = value, t.refOf(value)
	}
	to = binary.AppendUvarint(to, uint64(l.nameRef))
	return binary.AppendUvarint(to, uint64(l.valueRef))
}

func (t *symbolTable) appendTo(to []byte) []byte {
	for _, text := range t.texts {
		to = appendText(to, tagV2Symbol, text)
	}
	return to
}
