package nodesim

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// lineFormat is how a container logs.
type lineFormat int

const (
	jsonLines lineFormat = iota
	textLines
	stackTraces // several lines that belong together, each a record of its own
)

// longLineBytes makes three pieces of the runtime's 16 KiB.
const longLineBytes = 40_000

// line is what a generated line says.
type line struct {
	at      time.Time
	stream  string
	seq     uint64 // from 1, without gaps
	traceID string // hex, "" for none
	spanID  string
	bytes   int // pad up to that
}

// The end of every line is a checksum of all bytes before it, so that a line
// that was cut, joined wrongly or altered is told from a whole one.
const (
	textSum = " sum="
	jsonSum = `,"sum":"`
)

// AppendLine formats a JSON line of at least size bytes, without the newline, for
// real containers whose lines are to be accounted for as the simulated ones are.
// traceID and spanID are hex, "" for none.
func AppendLine(b []byte, at time.Time, stream string, seq uint64, traceID, spanID string, size int) []byte {
	return appendLine(b, jsonLines, line{at: at, stream: stream, seq: seq, traceID: traceID, spanID: spanID, bytes: size})
}

// appendLine formats a line, without the newline.
func appendLine(b []byte, f lineFormat, l line) []byte {
	start := len(b)
	switch f {
	case jsonLines:
		b = appendJSONLine(b, l)
		b = pad(append(b, `,"pad":"`...), start, l.bytes)
		b = append(b, '"')
		return fmt.Appendf(b, `%s%08x"}`, jsonSum, crc32.ChecksumIEEE(b[start:]))
	case stackTraces:
		b = appendTraceLine(b, l)
	default:
		b = l.at.AppendFormat(b, "2006/01/02 15:04:05")
		b = fmt.Appendf(b, " INFO stream=%s seq=%d handled GET /api/v1/items/%d in %dms", l.stream, l.seq, l.seq%97, l.seq%41)
		b = appendTextTrace(b, l)
	}
	b = pad(append(b, ' '), start, l.bytes)
	return fmt.Appendf(b, "%s%08x", textSum, crc32.ChecksumIEEE(b[start:]))
}

func appendJSONLine(b []byte, l line) []byte {
	b = append(b, `{"ts":"`...)
	b = l.at.AppendFormat(b, time.RFC3339Nano)
	level := [...]string{"info", "info", "info", "debug", "warn", "error"}[l.seq%6]
	b = fmt.Appendf(b, `","level":"%s","stream":"%s","seq":%d,"msg":"request done","path":"/api/v1/items/%d","status":200,"dur_ms":%d`,
		level, l.stream, l.seq, l.seq%97, l.seq%41)
	if l.traceID != "" {
		b = fmt.Appendf(b, `,"trace_id":"%s","span_id":"%s"`, l.traceID, l.spanID)
	}
	return b
}

// appendTraceLine takes turns: a message, then frames, indented.
func appendTraceLine(b []byte, l line) []byte {
	if l.seq%5 == 1 {
		b = fmt.Appendf(b, "java.lang.IllegalStateException: basket is empty stream=%s seq=%d", l.stream, l.seq)
		return appendTextTrace(b, l)
	}
	return fmt.Appendf(b, "\tat com.example.shop.Basket.checkout(Basket.java:%d) stream=%s seq=%d", 10+l.seq%5, l.stream, l.seq)
}

func appendTextTrace(b []byte, l line) []byte {
	if l.traceID == "" {
		return b
	}
	return fmt.Appendf(b, " trace_id=%s span_id=%s", l.traceID, l.spanID)
}

func pad(b []byte, start, size int) []byte {
	if missing := size - (len(b) - start); missing > 0 {
		b = append(b, bytes.Repeat([]byte{'x'}, missing)...)
	}
	return b
}

// ParseLine reads back a line. An error means that it is not, byte for byte,
// one that a container wrote.
func ParseLine(text []byte) (stream string, seq uint64, err error) {
	body, sum, ok := bytes.Cut(text, []byte(jsonSum))
	if ok {
		sum, ok = bytes.CutSuffix(sum, []byte(`"}`))
	} else if i := bytes.LastIndex(text, []byte(textSum)); i >= 0 {
		body, sum, ok = text[:i], text[i+len(textSum):], true
	}
	if !ok {
		return "", 0, fmt.Errorf("line of %d bytes has no checksum: %.80q", len(text), text)
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if got := crc32.ChecksumIEEE(body); err != nil || uint32(want) != got || len(sum) != 8 {
		return "", 0, fmt.Errorf("line of %d bytes has checksum %q, not %08x: %.80q", len(text), sum, got, text)
	}
	s, n := field(body, `"stream":"`, `"`), field(body, `"seq":`, ",")
	if s == nil {
		s, n = field(body, "stream=", " "), field(body, " seq=", " ")
	}
	seq, err = strconv.ParseUint(string(n), 10, 64)
	if err != nil || len(s) == 0 {
		return "", 0, fmt.Errorf("line has no stream and sequence number: %.80q", text)
	}
	return string(s), seq, nil
}

// field is what stands between two marks, nil if the first is not there.
func field(b []byte, before, after string) []byte {
	_, rest, ok := bytes.Cut(b, []byte(before))
	if !ok {
		return nil
	}
	value, _, _ := bytes.Cut(rest, []byte(after))
	return value
}
