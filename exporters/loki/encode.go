package loki

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Loki's default limits (limits_config), which it answers with 400.
const (
	maxLineBytes       = 256 << 10 // max_line_size
	maxMetadataBytes   = 64 << 10  // max_structured_metadata_size: names and values
	maxMetadataEntries = 128       // max_structured_metadata_entries_count
	maxLabelValueBytes = 2048      // max_label_value_length

	// What resource and scope may take of the metadata limits. A record always
	// has room for its trace id and its own attributes; and the bytes, which
	// Loki's format repeats in every entry, stay bounded for a sender that puts
	// a large resource before many small records.
	maxOriginBytes   = 16 << 10
	maxOriginEntries = 96

	// maxRequestBytes keeps a push below 4 MiB, gRPC's default limit between
	// Loki's distributors and ingesters, with entryGrowthBytes for what the
	// distributor adds to each entry (detected_level).
	maxRequestBytes  = 3584 << 10
	entryGrowthBytes = 32
)

// origin is the part of the structured metadata that all records of a resource,
// or of a scope, share, encoded once. A scope's refers to its resource's rather
// than repeat it: a message has room for many scopes.
type origin struct {
	resource *origin // nil for a resource
	pairs    []byte  // encoded fields of EntryAdapter
	names    map[string]struct{}
	labels   []string // record attributes that are labels of this resource

	// These include the resource's.
	bytes   int // names and values, as Loki counts them
	entries int
	leftOut int // attributes without a place in pairs
}

func (o *origin) has(name []byte) bool {
	for ; o != nil; o = o.resource {
		if _, ok := o.names[string(name)]; ok {
			return true
		}
	}
	return false
}

func (o *origin) appendPairs(b []byte) []byte {
	if o.resource != nil {
		b = append(b, o.resource.pairs...)
	}
	return append(b, o.pairs...)
}

// entry is one log record on its way.
type entry struct {
	timestamp int64 // nanoseconds since 1970
	record    plog.LogRecord
	origin    *origin
}

// limits are what one piece may use of an entry, less than the defaults once
// Loki said so.
type limits struct {
	lineBytes int
	bare      bool // without structured metadata
}

// cuts counts what an encoding had to leave out.
type cuts struct {
	lines      int // lines cut to the limit
	attributes int // attributes over the limits, or second of their name
}

func (c *cuts) add(o cuts) {
	c.lines += o.lines
	c.attributes += o.attributes
}

// encoder writes push requests; it is reused and not safe for concurrent use.
type encoder struct {
	buf  []byte
	cuts cuts

	// State of the entry or origin being encoded.
	origin  *origin
	names   []span // of the pairs written, in buf
	name    []byte
	value   []byte
	bytes   int
	entries int
	maxSize int // of bytes
	maxPair int // of entries

	compressed []byte
}

type span struct{ from, to int }

// encode fills buf with the beginning of runs that fits into one request, at
// least one entry, and returns what it took and what is left.
func (e *encoder) encode(runs []run, lim limits) (taken, left []run) {
	e.buf, e.cuts = e.buf[:0], cuts{}
	budget := maxRequestBytes
	for i, r := range runs {
		n := e.appendStream(r, lim, budget, i == 0)
		if n > 0 {
			taken = append(taken, run{r.stream, r.entries[:n]})
		}
		if n < len(r.entries) {
			left = append(left, run{r.stream, r.entries[n:]})
			return taken, append(left, runs[i+1:]...)
		}
		budget -= n * entryGrowthBytes
	}
	return taken, nil
}

// appendStream appends the entries of r until the buffer is longer than
// maxBytes allows and returns their number; must makes it take one at least.
func (e *encoder) appendStream(r run, lim limits, maxBytes int, must bool) int {
	begin, before := len(e.buf), e.cuts
	const lengthBytes = 3 // 16 KiB to 2 MiB need no move
	var start int
	e.buf, start = beginMessage(e.buf, tagStreams, lengthBytes)
	e.buf = appendString(e.buf, tagLabels, r.stream.labels)
	n := 0
	for i := range r.entries {
		end, cut := len(e.buf), e.cuts
		e.appendEntry(&r.entries[i], lim)
		maxBytes -= entryGrowthBytes
		if len(e.buf) > maxBytes && !(must && n == 0) {
			e.buf, e.cuts = e.buf[:end], cut
			break
		}
		n++
	}
	if n == 0 {
		e.buf, e.cuts = e.buf[:begin], before
		return 0
	}
	e.buf = endMessage(e.buf, start, lengthBytes)
	return n
}

func (e *encoder) appendEntry(en *entry, lim limits) {
	const lengthBytes = 2 // 128 B to 16 KiB need no move
	var start int
	e.buf, start = beginMessage(e.buf, tagEntries, lengthBytes)
	e.buf = appendTimestamp(e.buf, en.timestamp)
	cut := e.appendLine(en.record.Body(), lim.lineBytes)
	if lim.bare {
		e.cuts.attributes += en.record.Attributes().Len()
	} else {
		e.appendMetadata(en, cut)
	}
	e.buf = endMessage(e.buf, start, lengthBytes)
}

// appendLine appends the body, a value other than a string as JSON, and
// reports whether it was cut.
func (e *encoder) appendLine(body pcommon.Value, maxBytes int) bool {
	line, cut := cutString(text(body), maxBytes)
	if cut {
		e.cuts.lines++
	}
	if line != "" {
		e.buf = appendString(e.buf, tagLine, line)
	}
	return cut
}

func text(v pcommon.Value) string {
	if v.Type() == pcommon.ValueTypeStr {
		return v.Str()
	}
	return v.AsString()
}

// cutString cuts s to maxBytes at a character's boundary.
func cutString(s string, maxBytes int) (string, bool) {
	if len(s) <= maxBytes {
		return s, false
	}
	end := maxBytes
	for end > 0 && end > maxBytes-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end], true
}

// appendMetadata appends the resource's part, then the record's own fields,
// those that people search by first, then its attributes.
//
// The time of observation is left out on purpose: it differs when a line is
// read again after a crash, and Loki drops a repeated entry only if all of it
// is equal.
func (e *encoder) appendMetadata(en *entry, cut bool) {
	e.begin(en.origin, maxMetadataBytes, maxMetadataEntries)
	e.buf = en.origin.appendPairs(e.buf)
	r := en.record
	if id := r.TraceID(); !id.IsEmpty() {
		e.value = hex.AppendEncode(e.value[:0], id[:])
		e.appendValue("trace_id", string(e.value))
	}
	if id := r.SpanID(); !id.IsEmpty() {
		e.value = hex.AppendEncode(e.value[:0], id[:])
		e.appendValue("span_id", string(e.value))
	}
	e.appendValue("severity", r.SeverityText())
	if n := r.SeverityNumber(); n != plog.SeverityNumberUnspecified {
		e.value = strconv.AppendInt(e.value[:0], int64(n), 10)
		e.appendValue("severity_number", string(e.value))
	}
	e.appendValue("event_name", r.EventName())
	if cut {
		e.appendValue("truncated", "true")
	}
	e.appendAttributes(r.Attributes(), en.origin.labels)
}

// begin starts the metadata of a record or a scope of o, or of a resource (o nil).
func (e *encoder) begin(o *origin, maxSize, maxPair int) {
	e.origin, e.names = o, e.names[:0]
	e.bytes, e.entries = 0, 0
	e.maxSize, e.maxPair = maxSize, maxPair
	if o != nil {
		e.bytes, e.entries = o.bytes, o.entries
		e.cuts.attributes += o.leftOut
	}
}

func (e *encoder) appendAttributes(attributes pcommon.Map, labels []string) {
	for key, value := range attributes.All() {
		if contains(labels, key) {
			continue
		}
		if value.Type() == pcommon.ValueTypeInt {
			e.value = strconv.AppendInt(e.value[:0], value.Int(), 10)
			e.appendValue(key, string(e.value))
		} else {
			e.appendValue(key, text(value))
		}
	}
}

// contains is slices.Contains for the zero to three labels of a record, which
// differ in length from most keys.
func contains(labels []string, key string) bool {
	for _, l := range labels {
		if l == key {
			return true
		}
	}
	return false
}

// appendValue appends a pair unless the value is empty, or the name taken, or
// the limits reached; the latter two are counted. The first of two equal names
// wins, and so a record cannot pretend to come from another resource.
func (e *encoder) appendValue(key, value string) {
	if value == "" {
		return
	}
	// Checked before the name is copied: its size is the sender's choice.
	if e.entries >= e.maxPair || e.bytes+len(key)+len(value) > e.maxSize {
		e.cuts.attributes++
		return
	}
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, "?")
	}
	e.name = appendName(e.name[:0], key)
	size := len(e.name) + len(value)
	if e.bytes+size > e.maxSize || e.taken() {
		e.cuts.attributes++
		return
	}
	e.buf = appendPair(e.buf, e.name, value)
	e.bytes += size
	e.entries++
	// The name ends where the value's tag and length begin.
	to := len(e.buf) - len(value) - varintLen(uint64(len(value))) - 1
	e.names = append(e.names, span{to - len(e.name), to})
}

func (e *encoder) taken() bool {
	if e.origin.has(e.name) {
		return true
	}
	for _, s := range e.names {
		if bytes.Equal(e.buf[s.from:s.to], e.name) {
			return true
		}
	}
	return false
}

// newOrigin encodes what the records of a resource have in common. labels are
// the resource attributes that became labels, fromRecord the record attributes
// that will.
func (e *encoder) newOrigin(resource pcommon.Resource, labels, fromRecord []string) *origin {
	e.buf, e.cuts = e.buf[:0], cuts{}
	e.begin(nil, maxOriginBytes, maxOriginEntries)
	e.appendAttributes(resource.Attributes(), labels)
	return e.finishOrigin(&origin{labels: fromRecord})
}

// newScope encodes what the records of a scope have in common besides; it is
// the resource's origin itself if that is nothing.
func (e *encoder) newScope(scope pcommon.InstrumentationScope, resource *origin) *origin {
	if scope.Name() == "" && scope.Version() == "" && scope.Attributes().Len() == 0 {
		return resource
	}
	e.buf, e.cuts = e.buf[:0], cuts{}
	e.begin(resource, maxOriginBytes, maxOriginEntries)
	e.appendValue("scope_name", scope.Name())
	e.appendValue("scope_version", scope.Version())
	e.appendAttributes(scope.Attributes(), nil)
	return e.finishOrigin(&origin{resource: resource, labels: resource.labels})
}

func (e *encoder) finishOrigin(o *origin) *origin {
	o.pairs = bytes.Clone(e.buf)
	o.bytes, o.entries, o.leftOut = e.bytes, e.entries, e.cuts.attributes
	o.names = make(map[string]struct{}, len(e.names))
	for _, s := range e.names {
		o.names[string(e.buf[s.from:s.to])] = struct{}{}
	}
	return o
}
