package prometheus

import "encoding/binary"

// symbols keeps each label name and value of the table once. Label sets are
// strings of symbol numbers: two varints for each label, sorted by name.
type symbols struct {
	numbers map[string]uint32
	all     []symbol
	free    []uint32
	bytes   int64 // estimated
	scratch []byte
}

type symbol struct {
	text string
	uses int32
	form symbolForm
}

// symbolForm is what the page must know of a text.
type symbolForm uint8

const (
	needsEscape symbolForm = 1 << iota // has a quote, a backslash or a line feed
	notLegacy                          // no label name of Prometheus 2
)

// symbolBytes estimates a symbol without its text: its place in the list, the
// map and the allocator.
const symbolBytes = 72

func newSymbols() symbols {
	return symbols{numbers: make(map[string]uint32)}
}

func formOf(text string) symbolForm {
	var f symbolForm
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"', c == '\\', c == '\n':
			f |= needsEscape | notLegacy
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= '0' && c <= '9' && i > 0:
		default:
			f |= notLegacy
		}
	}
	return f
}

func (s *symbols) add(text []byte) uint32 {
	if n, ok := s.numbers[string(text)]; ok {
		s.all[n].uses++
		return n
	}
	own := string(text)
	sym := symbol{text: own, uses: 1, form: formOf(own)}
	n := uint32(len(s.all))
	if last := len(s.free) - 1; last >= 0 {
		n = s.free[last]
		s.free = s.free[:last]
		s.all[n] = sym
	} else {
		s.all = append(s.all, sym)
	}
	s.numbers[own] = n
	s.bytes += int64(symbolBytes + len(own))
	return n
}

func (s *symbols) remove(n uint32) {
	sym := &s.all[n]
	if sym.uses--; sym.uses > 0 {
		return
	}
	s.bytes -= int64(symbolBytes + len(sym.text))
	delete(s.numbers, sym.text)
	*sym = symbol{}
	s.free = append(s.free, n)
	if len(s.numbers) == 0 {
		*s = newSymbols() // a map does not shrink by itself
	}
}

// pack makes a label set of symbols; its bytes are len of it.
func (s *symbols) pack(p packed) string {
	out := s.scratch[:0]
	for len(p) > 0 {
		var name, value []byte
		name, value, p = p.next()
		out = binary.AppendUvarint(out, uint64(s.add(name)))
		out = binary.AppendUvarint(out, uint64(s.add(value)))
	}
	s.scratch = out
	return string(out)
}

// nextNumber splits off one symbol's number.
func nextNumber(set string) (number uint32, rest string) {
	var n uint32
	for i := 0; ; i++ {
		c := set[i]
		n |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return n, set[i+1:]
		}
	}
}

// next splits off one label.
func (s *symbols) next(set string) (name, value *symbol, rest string) {
	n, rest := nextNumber(set)
	v, rest := nextNumber(rest)
	return &s.all[n], &s.all[v], rest
}

// unpack is the reverse of pack.
func (s *symbols) unpack(set string) packed {
	var out packed
	for set != "" {
		var name, value *symbol
		name, value, set = s.next(set)
		out = appendLabel(out, name.text, value.text)
	}
	return out
}

func (s *symbols) release(set string) {
	for set != "" {
		var n uint32
		n, set = nextNumber(set)
		s.remove(n)
	}
}
