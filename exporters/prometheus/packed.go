package prometheus

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
)

// packed is a label set as remote write v1 has it on the wire: the fields
// "labels" of a TimeSeries, one behind the other, sorted by name, names unique,
// no value empty. To send it is to copy it.
type packed []byte

// Field tags of TimeSeries.labels and of Label.name and .value.
const (
	tagLabels     = 1<<3 | 2
	tagLabelName  = 1<<3 | 2
	tagLabelValue = 2<<3 | 2
)

func appendLabel(to []byte, name, value string) []byte {
	to = append(to, tagLabels)
	to = binary.AppendUvarint(to, uint64(2+varintLen(len(name))+len(name)+varintLen(len(value))+len(value)))
	to = appendText(to, tagLabelName, name)
	return appendText(to, tagLabelValue, value)
}

func appendText(to []byte, tag byte, s string) []byte {
	to = append(to, tag)
	to = binary.AppendUvarint(to, uint64(len(s)))
	return append(to, s...)
}

// appendMessage appends a field that has a length: text or an encoded message.
func appendMessage(to []byte, tag byte, m []byte) []byte {
	to = append(to, tag)
	to = binary.AppendUvarint(to, uint64(len(m)))
	return append(to, m...)
}

func varintLen(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// next splits off the first label. The set must not be empty.
func (p packed) next() (name, value []byte, rest packed) {
	_, n := shortUvarint(p[1:])
	p = p[1+n:]
	length, n := shortUvarint(p[1:])
	name, p = p[1+n:1+n+length], p[1+n+length:]
	length, n = shortUvarint(p[1:])
	return name, p[1+n : 1+n+length], p[1+n+length:]
}

// shortUvarint is binary.Uvarint with the usual case inlined.
func shortUvarint(b []byte) (value, size int) {
	if b[0] < 0x80 {
		return int(b[0]), 1
	}
	v, n := binary.Uvarint(b)
	return int(v), n
}

// len is the number of labels.
func (p packed) len() int {
	n := 0
	for ; len(p) > 0; n++ {
		length, size := shortUvarint(p[1:])
		p = p[1+size+length:]
	}
	return n
}

// cuts are the places in a label set that the series of a histogram or summary
// differ in.
type cuts struct {
	nameFrom, nameTo int // __name__'s label
	extra            int // where le or quantile belongs
}

// cut finds them: "__name__" sorts before "le" and "quantile".
func (p packed) cut(extra string) cuts {
	c := cuts{extra: len(p)}
	for rest := p; len(rest) > 0; {
		at := len(p) - len(rest)
		var name []byte
		name, _, rest = rest.next()
		switch {
		case string(name) == nameLabel:
			c.nameFrom, c.nameTo = at, len(p)-len(rest)
		case string(name) > extra:
			c.extra = at
			return c
		}
	}
	return c
}

// appendSeries appends the labels of one sample of a point, cut by c.
func (p packed) appendSeries(to []byte, c cuts, name string, s *sample) []byte {
	if s.suffix == "" && s.extra == "" {
		return append(to, p...)
	}
	to = append(to, p[:c.nameFrom]...)
	to = append(to, tagLabels)
	length := len(name) + len(s.suffix)
	to = binary.AppendUvarint(to, uint64(2+varintLen(len(nameLabel))+len(nameLabel)+varintLen(length)+length))
	to = appendText(to, tagLabelName, nameLabel)
	to = append(to, tagLabelValue)
	to = binary.AppendUvarint(to, uint64(length))
	to = append(append(to, name...), s.suffix...)
	to = append(to, p[c.nameTo:c.extra]...)
	if s.extra != "" {
		to = appendLabel(to, s.extra, s.extraValue)
	}
	return append(to, p[c.extra:]...)
}

// labels makes Prometheus's own form, for what happens rarely.
func (p packed) labels() labels.Labels {
	b := labels.NewScratchBuilder(p.len())
	for len(p) > 0 {
		var name, value []byte
		name, value, p = p.next()
		b.Add(string(name), string(value))
	}
	return b.Labels()
}

// identity tells label sets apart by 128 bits. One half is seeded at random, so
// that no sender can choose labels that collide.
type identity struct {
	// stable is the same in every process; it decides a series' shard.
	stable, seeded uint64
}

var seed = maphash.MakeSeed()

func (p packed) identity() identity {
	return identity{stable: xxhash.Sum64(p), seeded: maphash.Bytes(seed, p)}
}

// byteArena hands out byte slices cut from large ones: one allocation for
// hundreds of label sets, and none once it was reset. They live until then.
type byteArena struct {
	chunks [][]byte
	used   int // chunks that were begun
	free   []byte
}

const arenaBytes = 256 << 10

func (a *byteArena) copy(b []byte) []byte {
	if len(b) > arenaBytes {
		return append([]byte(nil), b...)
	}
	if len(a.free) < len(b) {
		if a.used == len(a.chunks) {
			a.chunks = append(a.chunks, make([]byte, arenaBytes))
		}
		a.free = a.chunks[a.used]
		a.used++
	}
	n := copy(a.free, b)
	out := a.free[:n:n]
	a.free = a.free[n:]
	return out
}

func (a *byteArena) reset() { a.used, a.free = 0, nil }
