package kubestate

import (
	"encoding/binary"
	"hash/maphash"
	"math"
)

// state is the packed series of one object. It is a string so that unpacked
// label values are parts of it and not copies, and so that an unchanged state
// is cheap to recognise.
//
//	state    = identity { point }
//	identity = count { text }                   values, in the order of kind.identity
//	point    = family { text } value            values, in the order of the family's labels
//	         | family count { text text } value names and values, open families
//	text     = 2*length bytes | 2*word+1        words see words.go
//	value    = 0 | 1 | 2 number | 3 float64     0, 1, a whole number, anything (8 bytes, little endian)
//
// family, count, 2*length, 2*word+1 and number are unsigned varints.
type state string

// The forms of a value.
const (
	valueZero = iota
	valueOne
	valueWhole
	valueFloat
)

// packer writes states.
type packer struct {
	buf   []byte
	point int                 // where the open point begins
	seen  map[uint64]struct{} // hashes of the points there are
	twice int                 // points left out since they were there already
}

// seed is of this process; hashes are compared only within it.
var seed = maphash.MakeSeed()

// begin starts a state.
func (p *packer) begin(k *kind, identity []string) {
	if p.seen == nil {
		p.seen = map[uint64]struct{}{}
	}
	clear(p.seen)
	p.buf = binary.AppendUvarint(p.buf[:0], uint64(len(identity)))
	for i, value := range identity {
		p.value(&k.words, k.identity[i], value)
	}
}

// open starts a point.
func (p *packer) open(family int) {
	p.point = len(p.buf)
	p.count(family)
}

func (p *packer) count(n int) {
	p.buf = binary.AppendUvarint(p.buf, uint64(n))
}

// text writes a text as it is.
func (p *packer) text(text string) {
	p.count(2 * len(text))
	p.buf = append(p.buf, text...)
}

// value writes the value of a label, which is a word for labels that many
// objects share.
func (p *packer) value(w *words, label, value string) {
	if shared[label] && value != "" {
		if n, ok := w.number(value); ok {
			p.buf = binary.AppendUvarint(p.buf, 2*n+1)
			return
		}
	}
	p.text(value)
}

// close ends a point, or undoes it when the state has its series already.
func (p *packer) close(value float64) {
	hash := maphash.Bytes(seed, p.buf[p.point:])
	if _, ok := p.seen[hash]; ok {
		p.buf = p.buf[:p.point]
		p.twice++
		return
	}
	p.seen[hash] = struct{}{}
	p.number(value)
}

func (p *packer) number(v float64) {
	switch {
	case v == 0 && !math.Signbit(v):
		p.buf = append(p.buf, valueZero)
	case v == 1:
		p.buf = append(p.buf, valueOne)
	case v > 0 && v < 1<<53 && v == math.Trunc(v):
		p.buf = binary.AppendUvarint(append(p.buf, valueWhole), uint64(v))
	default:
		p.buf = binary.LittleEndian.AppendUint64(append(p.buf, valueFloat), math.Float64bits(v))
	}
}

// unpacker reads a state that a packer of this process wrote, and trusts it.
type unpacker struct {
	kind     *kind
	words    []string
	identity labels
	rest     state

	// The point that next read:
	family int
	labels labels
	series state // family and labels as packed: what tells the point from others of its object
	value  float64
}

// unpack begins to read a state.
func (s state) unpack(k *kind) unpacker {
	words := k.words.all()
	n, rest := s.number()
	identity, rest := cut(rest, n)
	return unpacker{kind: k, words: words, identity: labels{k.identity, words, n, identity}, rest: rest}
}

// next reads a point, until there is none.
func (u *unpacker) next() bool {
	if u.rest == "" {
		return false
	}
	begin := u.rest
	family, rest := u.rest.number()
	u.family = int(family)
	f := &u.kind.families[u.family]
	u.labels = labels{names: f.labels, words: u.words, n: uint64(len(f.labels))}
	texts := u.labels.n
	if f.open {
		u.labels.names = nil
		u.labels.n, rest = rest.number()
		texts = 2 * u.labels.n
	}
	u.labels.packed, rest = cut(rest, texts)
	u.series = begin[:len(begin)-len(rest)]
	u.value, u.rest = rest.value()
	return true
}

// labels are names and packed values, or nil and packed names and values.
type labels struct {
	names  []string
	words  []string
	n      uint64
	packed state
}

// each calls f with every label that has a value: to Prometheus one with an
// empty value is none.
func (l labels) each(f func(name, value string)) {
	for i := range l.n {
		var name, value string
		if l.names != nil {
			name = l.names[i]
		} else {
			name, l.packed = l.packed.text(l.words)
		}
		value, l.packed = l.packed.text(l.words)
		if value != "" {
			f(name, value)
		}
	}
}

// cut splits after n texts.
func cut(s state, n uint64) (texts, rest state) {
	rest = s
	for range n {
		var head uint64
		if head, rest = rest.number(); head&1 == 0 {
			rest = rest[head/2:]
		}
	}
	return s[:len(s)-len(rest)], rest
}

func (s state) text(words []string) (string, state) {
	head, rest := s.number()
	if head&1 == 1 {
		return words[head/2], rest
	}
	return string(rest[:head/2]), rest[head/2:]
}

// number reads a varint; binary.Uvarint would need the string copied.
func (s state) number() (uint64, state) {
	var n uint64
	for i := 0; ; i++ {
		b := s[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n, s[i+1:]
		}
	}
}

func (s state) value() (float64, state) {
	form, rest := s[0], s[1:]
	switch form {
	case valueZero:
		return 0, rest
	case valueOne:
		return 1, rest
	case valueWhole:
		n, rest := rest.number()
		return float64(n), rest
	}
	var bits uint64
	for i := range 8 {
		bits |= uint64(rest[i]) << (8 * i)
	}
	return math.Float64frombits(bits), rest[8:]
}
