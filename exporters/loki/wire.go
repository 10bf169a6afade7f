package loki

import (
	"encoding/binary"
	"math/bits"
)

// Field tags (number<<3 | wire type) of loki/pkg/push/push.proto.
const (
	tagStreams    = 1<<3 | 2 // PushRequest.streams
	tagLabels     = 1<<3 | 2 // StreamAdapter.labels
	tagEntries    = 2<<3 | 2 // StreamAdapter.entries
	tagTimestamp  = 1<<3 | 2 // EntryAdapter.timestamp
	tagLine       = 2<<3 | 2 // EntryAdapter.line
	tagMetadata   = 3<<3 | 2 // EntryAdapter.structuredMetadata
	tagPairName   = 1<<3 | 2 // LabelPairAdapter.name
	tagPairValue  = 2<<3 | 2 // LabelPairAdapter.value
	tagTimeSecond = 1 << 3   // google.protobuf.Timestamp.seconds
	tagTimeNano   = 2 << 3   // google.protobuf.Timestamp.nanos
)

// beginMessage opens an embedded message and leaves width bytes for its
// length; it returns where the content starts.
func beginMessage(b []byte, tag byte, width int) ([]byte, int) {
	b = append(b, tag)
	for range width {
		b = append(b, 0)
	}
	return b, len(b)
}

// endMessage writes the length of the message whose content starts at start,
// moving the content if the length takes more or fewer than width bytes. So
// the caller need not know the length beforehand and the encoding is still the
// canonical one.
func endMessage(b []byte, start, width int) []byte {
	n := len(b) - start
	need := varintLen(uint64(n))
	if need > width {
		b = append(b, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"[:need-width]...)
	}
	if need != width {
		copy(b[start-width+need:], b[start:start+n])
		b = b[:start-width+need+n]
	}
	binary.PutUvarint(b[start-width:], uint64(n))
	return b
}

func varintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func appendString[S []byte | string](b []byte, tag byte, s S) []byte {
	b = append(b, tag)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendTimestamp appends field 1 of an entry; t is in nanoseconds since 1970
// and not negative.
func appendTimestamp(b []byte, t int64) []byte {
	seconds, nanos := uint64(t/1e9), uint64(t%1e9)
	b, start := beginMessage(b, tagTimestamp, 1)
	if seconds != 0 {
		b = append(b, tagTimeSecond)
		b = binary.AppendUvarint(b, seconds)
	}
	if nanos != 0 {
		b = append(b, tagTimeNano)
		b = binary.AppendUvarint(b, nanos)
	}
	return endMessage(b, start, 1)
}

// appendPair appends one name and value of structured metadata.
func appendPair[N, V []byte | string](b []byte, name N, value V) []byte {
	size := 2 + varintLen(uint64(len(name))) + len(name) + varintLen(uint64(len(value))) + len(value)
	b = append(b, tagMetadata)
	b = binary.AppendUvarint(b, uint64(size))
	b = appendString(b, tagPairName, name)
	return appendString(b, tagPairValue, value)
}
