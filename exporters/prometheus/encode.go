package prometheus

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// Requests are encoded by hand: label sets are kept as remote write v1 has them
// on the wire, so that v1 copies them and v2 looks up only what differs from the
// series before.

// Fields of the messages of both protocols: number<<3 | wire type.
const (
	tagV1Series   = 1<<3 | 2 // WriteRequest
	tagV1Metadata = 3<<3 | 2

	tagV1Sample    = 2<<3 | 2 // TimeSeries
	tagV1Exemplar  = 3<<3 | 2
	tagV1Histogram = 4<<3 | 2

	tagSampleValue     = 1<<3 | 1 // Sample, alike in both
	tagSampleTimestamp = 2 << 3
	tagSampleStart     = 3 << 3 // v2 alone

	tagExemplarLabels    = 1<<3 | 2 // Exemplar, alike but for what labels are
	tagExemplarValue     = 2<<3 | 1
	tagExemplarTimestamp = 3 << 3

	tagV2Symbol = 4<<3 | 2 // Request
	tagV2Series = 5<<3 | 2

	tagV2Labels    = 1<<3 | 2 // TimeSeries
	tagV2Sample    = 2<<3 | 2
	tagV2Histogram = 3<<3 | 2
	tagV2Exemplar  = 4<<3 | 2
	tagV2Metadata  = 5<<3 | 2

	tagV2Type = 1 << 3 // Metadata
	tagV2Help = 3 << 3
	tagV2Unit = 4 << 3
)

// encoder makes requests. It is for one goroutine, and what it returns is valid
// until it is used again.
type encoder struct {
	out    []byte
	series []byte // the one that is being made
	part   []byte // a message within it
	number sample // of a point that is just one

	symbols   symbolTable // of v2, as all below
	described *family
	metadata  []byte // of described
}

func (e *encoder) encode(protocol string, points []*point, metadata []*family) []byte {
	if protocol == ProtocolV2 {
		return e.encodeV2(points)
	}
	return e.encodeV1(points, metadata)
}

// encodeV1 makes a remote write 1.0 request of points and, beside them, of families
// whose metadata is due.
func (e *encoder) encodeV1(points []*point, metadata []*family) []byte {
	e.out = e.out[:0]
	for _, p := range points {
		if p.kind == kindNumber {
			e.number = p.number()
			e.addV1(p, cuts{}, &e.number)
			continue
		}
		c := p.labels.cut(p.extraLabel())
		p.expand(func(s *sample) { e.addV1(p, c, s) })
	}
	for _, f := range metadata {
		m := prompb.MetricMetadata{Type: f.typ, MetricFamilyName: f.name, Help: f.help, Unit: f.unit}
		e.out = e.appendMarshaled(e.out, tagV1Metadata, &m)
	}
	return e.out
}

func (e *encoder) addV1(p *point, c cuts, s *sample) {
	e.series = p.labels.appendSeries(e.series[:0], c, p.family.name, s)
	if s.native != nil {
		h := prompb.FromIntHistogram(p.timestampMs, s.native)
		e.series = e.appendMarshaled(e.series, tagV1Histogram, &h)
	} else {
		e.series = appendSample(e.series, tagV1Sample, s.value, p.timestampMs, 0)
	}
	for i := range s.exemplars {
		e.part = appendExemplarRest(append(e.part[:0], s.exemplars[i].labels...), &s.exemplars[i])
		e.series = appendMessage(e.series, tagV1Exemplar, e.part)
	}
	e.out = appendMessage(e.out, tagV1Series, e.series)
}

// marshaler is what the generated messages have.
type marshaler interface {
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
}

func (e *encoder) appendMarshaled(to []byte, tag byte, m marshaler) []byte {
	size := m.Size()
	e.part = append(e.part[:0], make([]byte, size)...)
	// The generated code has no error to return: the buffer has the right size.
	_, _ = m.MarshalToSizedBuffer(e.part)
	return appendMessage(to, tag, e.part)
}

func appendSample(to []byte, tag byte, value float64, timestampMs, startMs int64) []byte {
	to = append(to, tag, 0) // the length follows: it fits a byte
	from := len(to)
	to = appendDouble(to, tagSampleValue, value)
	to = appendInt(to, tagSampleTimestamp, timestampMs)
	if startMs != 0 {
		to = appendInt(to, tagSampleStart, startMs)
	}
	to[from-1] = byte(len(to) - from)
	return to
}

func appendDouble(to []byte, tag byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(append(to, tag), math.Float64bits(v))
}

func appendInt(to []byte, tag byte, v int64) []byte {
	return binary.AppendUvarint(append(to, tag), uint64(v))
}

func appendExemplarRest(to []byte, x *exemplar) []byte {
	to = appendDouble(to, tagExemplarValue, x.value)
	return appendInt(to, tagExemplarTimestamp, x.timestampMs)
}

// encodeV2 makes a remote write 2.0 request; metadata is in each series.
func (e *encoder) encodeV2(points []*point) []byte {
	e.symbols.reset()
	e.described = nil
	e.out = e.out[:0]
	for _, p := range points {
		if p.family != e.described {
			e.described = p.family
			e.metadata = e.appendMetadata(e.metadata[:0], p.family)
		}
		if p.kind == kindNumber {
			e.number = p.number()
			e.addV2(p, &e.number)
			continue
		}
		p.expand(func(s *sample) { e.addV2(p, s) })
	}
	// Symbols come first, as receivers that read a request once want them.
	e.series = append(e.symbols.appendTo(e.series[:0]), e.out...)
	e.series, e.out = e.out, e.series
	return e.out
}

func (e *encoder) addV2(p *point, s *sample) {
	e.part = e.symbols.appendSeriesRefs(e.part[:0], p, s)
	e.series = appendMessage(e.series[:0], tagV2Labels, e.part)
	if s.native != nil {
		h := writev2.FromIntHistogram(p.startMs, p.timestampMs, s.native)
		e.series = e.appendMarshaled(e.series, tagV2Histogram, &h)
	} else {
		e.series = appendSample(e.series, tagV2Sample, s.value, p.timestampMs, p.startMs)
	}
	for i := range s.exemplars {
		e.series = e.appendExemplarV2(e.series, &s.exemplars[i])
	}
	e.series = append(e.series, e.metadata...)
	e.out = appendMessage(e.out, tagV2Series, e.series)
}

func (e *encoder) appendMetadata(to []byte, f *family) []byte {
	m := appendInt(e.part[:0], tagV2Type, int64(f.typ)) // the enumerations agree
	if f.help != "" {
		m = appendInt(m, tagV2Help, int64(e.symbols.refOf([]byte(f.help))))
	}
	if f.unit != "" {
		m = appendInt(m, tagV2Unit, int64(e.symbols.refOf([]byte(f.unit))))
	}
	e.part = m
	return appendMessage(to, tagV2Metadata, m)
}

func (e *encoder) appendExemplarV2(to []byte, x *exemplar) []byte {
	refs := e.symbols.appendRefs(nil, x.labels)
	e.part = appendExemplarRest(appendMessage(e.part[:0], tagExemplarLabels, refs), x)
	return appendMessage(to, tagV2Exemplar, e.part)
}

func countSeries(points []*point) int {
	n := 0
	for _, p := range points {
		n += p.seriesCount()
	}
	return n
}
