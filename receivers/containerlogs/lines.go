package containerlogs

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Attributes of log records.
const (
	attrStream        = "log.iostream"
	attrMalformed     = "crowsnest.malformed"
	attrTruncated     = "log.truncated"
	attrOriginalBytes = "log.original_bytes"
)

// lineTally counts what happened to lines; it is added to the instruments
// once a turn.
type lineTally struct {
	lines, bytes, joined int64
	truncated, cutBytes  int64
	invalidUTF8          int64
	malformed            map[fault]int64 // nil until the first
	unterminated         int64
}

// lineReader turns chunks of log files into log records. It belongs to one
// goroutine; state and records are set for each chunk. It makes one string of
// a chunk, of which the records' bodies are parts.
type lineReader struct {
	clock    clock
	maxBytes int // of a body
	observed pcommon.Timestamp

	state   *lineState
	records plog.LogRecordSlice
	tally   lineTally
	// spare collects the next line that comes in pieces. It is the reader's
	// and not the container's: a node has a few readers and many containers.
	spare []byte
}

// maxSpareBytes is the largest buffer kept for the next line.
const maxSpareBytes = 64 << 10

// read takes whole lines from the front of chunk, which begins at the given
// place of the log, and returns how many bytes it used. full says that the
// chunk filled the buffer: if it then holds no newline, the line is too long to
// be kept and is consumed piecemeal.
func (r *lineReader) read(chunk []byte, at position, full bool) int {
	used := 0
	if r.state.long.active {
		if used = r.skip(chunk); r.state.long.active {
			return used
		}
	}
	end := bytes.LastIndexByte(chunk, '\n') + 1
	if end > used {
		at.offset += int64(used)
		r.lines(string(chunk[used:end]), at)
		return end
	}
	if full && used == 0 {
		r.beginLong(string(chunk), at)
		return len(chunk)
	}
	return used
}

// lines reads s, which consists of whole lines.
func (r *lineReader) lines(s string, at position) {
	n := strings.Count(s, "\n")
	r.tally.lines += int64(n)
	r.records.EnsureCapacity(r.records.Len() + n)
	valid := utf8.ValidString(s)
	for s != "" {
		i := strings.IndexByte(s, '\n')
		r.line(s[:i], at, valid)
		s = s[i+1:]
		at.offset += int64(i + 1)
	}
}

// line reads one line; valid says that it is known to be UTF-8.
func (r *lineReader) line(line string, at position, valid bool) {
	p, fault := r.clock.parseLine(line)
	if fault != "" {
		r.malformed(line, int64(len(line)), fault)
		return
	}
	pend := &r.state.pending[p.stream]
	if !p.partial && !pend.active {
		r.record(p.content, int64(len(p.content)), p.unixNano, p.stream, valid)
		return
	}
	if !pend.active {
		r.begin(p.stream, p.unixNano, at)
	}
	pend.pieces++
	pend.add(p.content, r.keep())
	if !p.partial {
		r.flush(p.stream)
	}
}

// keep is how many bytes of a line are collected: enough to know that it must
// be cut and where the character at the cut begins.
func (r *lineReader) keep() int { return r.maxBytes + utf8.UTFMax }

// beginLong takes the first chunk of a line that does not fit into one.
func (r *lineReader) beginLong(chunk string, at position) {
	r.tally.lines++
	p, fault := r.clock.parseLine(chunk)
	if fault != "" {
		p = piece{stream: noStream, content: chunk}
	}
	pend := &r.state.pending[p.stream]
	if !pend.active {
		r.begin(p.stream, p.unixNano, at)
		pend.fault = fault
	}
	pend.pieces++
	pend.add(p.content, r.keep())
	r.state.long = longLine{active: true, stream: p.stream, last: !p.partial}
}

// skip passes over the rest of a long line and returns how many bytes it used.
func (r *lineReader) skip(chunk []byte) int {
	long := &r.state.long
	pend := &r.state.pending[long.stream]
	i := bytes.IndexByte(chunk, '\n')
	if i < 0 {
		pend.bytes += int64(len(chunk))
		return len(chunk)
	}
	pend.bytes += int64(i)
	long.active = false
	if long.last {
		r.flush(long.stream)
	}
	return i + 1
}

// flush delivers a stream's pending line as it stands.
func (r *lineReader) flush(s stream) {
	pend := &r.state.pending[s]
	if !pend.active {
		return
	}
	if pend.pieces > 1 {
		r.tally.joined += int64(pend.pieces)
	}
	if pend.fault != "" {
		r.malformed(string(pend.kept), pend.bytes, pend.fault)
	} else {
		r.record(string(pend.kept), pend.bytes, pend.unixNano, s, false)
	}
	if cap(pend.kept) <= maxSpareBytes {
		r.spare = pend.kept
	}
	*pend = pending{}
}

// begin starts a line that comes in pieces.
func (r *lineReader) begin(s stream, unixNano int64, at position) {
	r.state.begin(s, unixNano, at, r.spare)
	r.spare = nil
}

// flushAll delivers all pending lines: nothing can follow them any more.
func (r *lineReader) flushAll() {
	r.state.long = longLine{}
	for s := range stream(streams) {
		r.flush(s)
	}
}

// unterminated takes the end of a file that will not grow any more and does
// not end with a newline.
func (r *lineReader) unterminated(chunk []byte, at position) {
	if long := &r.state.long; long.active { // chunk was skipped with the rest of it
		long.active = false
		if long.last {
			r.flush(long.stream)
		}
	}
	if len(chunk) == 0 {
		return
	}
	r.tally.lines++
	r.tally.unterminated++
	r.line(string(chunk), at, false)
}

// malformed delivers a line whose header cannot be read, as it is. size is its
// length, of which body may be the beginning.
func (r *lineReader) malformed(body string, size int64, f fault) {
	if r.tally.malformed == nil {
		r.tally.malformed = map[fault]int64{}
	}
	r.tally.malformed[f]++
	lr := r.record(body, size, int64(r.observed), noStream, false)
	lr.Attributes().PutBool(attrMalformed, true)
}

// record appends a log record. size is the length of the line of which body
// is the beginning.
func (r *lineReader) record(body string, size, unixNano int64, s stream, valid bool) plog.LogRecord {
	lr := r.records.AppendEmpty()
	body = body[:min(len(body), r.keep())] // however the line came here
	if !valid && !utf8.ValidString(body) {
		r.tally.invalidUTF8++
		body = strings.ToValidUTF8(body, "\uFFFD")
	}
	if len(body) > r.maxBytes || size > int64(r.maxBytes) {
		body = r.cut(lr, body, size)
	}
	lr.SetTimestamp(pcommon.Timestamp(unixNano))
	lr.SetObservedTimestamp(r.observed)
	lr.Body().SetStr(body)
	switch s {
	case stdout:
		lr.Attributes().PutStr(attrStream, "stdout")
	case stderr:
		lr.Attributes().PutStr(attrStream, "stderr")
	}
	setTrace(lr, body)
	return lr
}

func setTrace(lr plog.LogRecord, body string) {
	var traceID [16]byte
	if !findTrace(body, &traceID) {
		return
	}
	lr.SetTraceID(traceID)
	var spanID [8]byte
	if findSpan(body, &spanID) {
		lr.SetSpanID(spanID)
	}
}

// cut shortens body to the limit, between two characters, and marks lr. The
// result depends on the line alone, so that a line sent again is the same.
func (r *lineReader) cut(lr plog.LogRecord, body string, size int64) string {
	n := min(len(body), r.maxBytes)
	for n < len(body) && n > 0 && !utf8.RuneStart(body[n]) {
		n--
	}
	r.tally.truncated++
	r.tally.cutBytes += max(size-int64(n), 0)
	lr.Attributes().PutBool(attrTruncated, true)
	lr.Attributes().PutInt(attrOriginalBytes, size)
	return body[:n]
}
