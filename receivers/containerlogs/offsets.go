package containerlogs

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// entry is how far one file was acknowledged.
type entry struct {
	path        string // relative to the root, as last seen
	device      uint64
	inode       uint64
	fingerprint fingerprint
	offset      int64 // bytes, of the uncompressed content
	done        bool  // rotated away and acknowledged to its end
}

// The offsets file is text, so that a person can read it:
//
//	crowsnest containerlogs offsets 1
//	DEVICE INODE PREFIX_BYTES PREFIX_HASH OFFSET DONE "PATH"
//	...
//	crc32c HEX
//
// The checksum covers every byte before its line; a file that was cut short
// or altered is refused as a whole, since half of the offsets would silently
// re-send the rest.
const (
	offsetsHeader  = "crowsnest containerlogs offsets 1\n"
	offsetsTrailer = "crc32c "
	trailerBytes   = len(offsetsTrailer) + 8 + 1
	// maxOffsetsBytes bounds what is read at start: some 300,000 files.
	maxOffsetsBytes = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeOffsets appends the file's content to b.
func encodeOffsets(b []byte, entries []entry) []byte {
	b = append(b, offsetsHeader...)
	for i := range entries {
		b = entries[i].append(b)
	}
	sum := crc32.Checksum(b, castagnoli)
	return fmt.Appendf(b, "%s%08x\n", offsetsTrailer, sum)
}

func (e *entry) append(b []byte) []byte {
	b = strconv.AppendUint(b, e.device, 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, e.inode, 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(e.fingerprint.bytes), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, e.fingerprint.hash, 16)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.offset, 10)
	b = append(b, ' ')
	b = strconv.AppendBool(b, e.done)
	b = append(b, ' ')
	b = strconv.AppendQuote(b, e.path)
	return append(b, '\n')
}

// decodeOffsets is the reverse of encodeOffsets; it allocates no more than a
// small multiple of len(b).
func decodeOffsets(b []byte) ([]entry, error) {
	if !bytes.HasPrefix(b, []byte(offsetsHeader)) {
		return nil, fmt.Errorf("first line is not %q", offsetsHeader[:len(offsetsHeader)-1])
	}
	cut := len(b) - trailerBytes
	if cut < len(offsetsHeader) || !bytes.HasPrefix(b[cut:], []byte(offsetsTrailer)) || b[len(b)-1] != '\n' {
		return nil, fmt.Errorf("last line is not a checksum: file of %d bytes was cut short", len(b))
	}
	want := string(b[cut+len(offsetsTrailer) : len(b)-1])
	if got := fmt.Sprintf("%08x", crc32.Checksum(b[:cut], castagnoli)); got != want {
		return nil, fmt.Errorf("checksum is %s, the file says %s", got, want)
	}
	var entries []entry
	body := b[len(offsetsHeader):cut]
	for n := 2; len(body) > 0; n++ {
		line, rest, ok := bytes.Cut(body, []byte{'\n'})
		if !ok {
			return nil, fmt.Errorf("decode line %d: no newline", n)
		}
		e, err := decodeEntry(string(line))
		if err != nil {
			return nil, fmt.Errorf("decode line %d: %w", n, err)
		}
		entries = append(entries, e)
		body = rest
	}
	return entries, nil
}

func decodeEntry(line string) (entry, error) {
	var e entry
	fields := [6]string{}
	rest := line
	for i := range fields {
		j := strings.IndexByte(rest, ' ')
		if j < 0 {
			return e, fmt.Errorf("%d fields of 7", i+1)
		}
		fields[i], rest = rest[:j], rest[j+1:]
	}
	var err error
	number := func(s string, base int) (n uint64) {
		if err == nil {
			n, err = strconv.ParseUint(s, base, 64)
		}
		return n
	}
	e.device, e.inode = number(fields[0], 10), number(fields[1], 10)
	prefix := number(fields[2], 10)
	e.fingerprint.hash = number(fields[3], 16)
	offset := number(fields[4], 10)
	if err != nil {
		return e, err
	}
	if prefix > fingerprintBytes {
		return e, fmt.Errorf("fingerprint over %d bytes, at most %d", prefix, fingerprintBytes)
	}
	e.fingerprint.bytes = int(prefix)
	if e.offset = int64(offset); e.offset < 0 {
		return e, fmt.Errorf("offset %d out of range", offset)
	}
	if e.done, err = strconv.ParseBool(fields[5]); err != nil {
		return e, err
	}
	e.path, err = strconv.Unquote(rest)
	return e, err
}
