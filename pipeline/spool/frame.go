package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// headerBytes precede the payload of every frame; FORMAT.md has the layout.
const headerBytes = 24

// errHeader: what stands at the place of a header is none, so that the place of
// the next one is not known either.
var errHeader = errors.New("frame header fails its checksum")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header describes one entry.
type header struct {
	payloadBytes int
	items        int
	at           time.Time // of the append
	sum          uint32    // CRC-32C of the payload
}

// frameBytes is the size of header and payload.
func (h header) frameBytes() int64 { return headerBytes + int64(h.payloadBytes) }

// encodeHeader makes the header of a payload.
func encodeHeader(payload []byte, items int, at time.Time) [headerBytes]byte {
	var b [headerBytes]byte
	binary.LittleEndian.PutUint32(b[0:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], uint32(items))
	binary.LittleEndian.PutUint64(b[8:], uint64(at.UnixNano()))
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(payload, castagnoli))
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[:20], castagnoli))
	return b
}

// decodeHeader needs headerBytes bytes. A header of zeros, which a file has where
// it was never written, fails the checksum.
func decodeHeader(b []byte) (header, error) {
	if binary.LittleEndian.Uint32(b[20:]) != crc32.Checksum(b[:20], castagnoli) {
		return header{}, errHeader
	}
	h := header{
		payloadBytes: int(binary.LittleEndian.Uint32(b[0:])),
		items:        int(binary.LittleEndian.Uint32(b[4:])),
		at:           time.Unix(0, int64(binary.LittleEndian.Uint64(b[8:]))),
		sum:          binary.LittleEndian.Uint32(b[16:]),
	}
	if h.payloadBytes > math.MaxInt32 || h.items > math.MaxInt32 {
		return header{}, errHeader
	}
	return h, nil
}

// run is a sequence of entries whose payloads stand one after the other. OTLP
// payloads so joined are one valid payload: a message of repeated fields only.
type run struct {
	payload []byte
	frames  int
	bytes   int64 // of the frames, headers included
	items   int   // in payload
	corrupt int   // items of frames whose payload failed its checksum; not in payload
	oldest  time.Time
}

// joinFrames takes whole frames off the front of buf, at least one if there is
// one, and more as long as the payload stays within limit bytes. It moves the
// payloads together within buf. A bad header after a good frame ends the run; a
// bad header at the front is errHeader.
func joinFrames(buf []byte, limit int) (run, error) {
	r := run{payload: buf[:0]}
	for rest := buf; len(rest) >= headerBytes; {
		h, err := decodeHeader(rest)
		if err != nil {
			if r.frames == 0 {
				return r, err
			}
			break
		}
		if h.frameBytes() > int64(len(rest)) || (r.frames > 0 && len(r.payload)+h.payloadBytes > limit) {
			break
		}
		payload := rest[headerBytes:h.frameBytes()]
		rest = rest[h.frameBytes():]
		if r.frames == 0 {
			r.oldest = h.at
		}
		r.frames++
		r.bytes += h.frameBytes()
		if crc32.Checksum(payload, castagnoli) != h.sum {
			r.corrupt += h.items
			continue
		}
		r.items += h.items
		// Never overtakes rest: every frame gives back the room of its header.
		r.payload = append(r.payload, payload...)
	}
	return r, nil
}

// scan walks the headers of a segment of size bytes from an offset on, and
// returns where the last whole frame ends and how many items there are. It reads
// no payload: those are checked when they are needed.
func scan(r io.ReaderAt, from, size int64) (end int64, items int, err error) {
	var b [headerBytes]byte
	for end = from; end+headerBytes <= size; {
		if _, err := r.ReadAt(b[:], end); err != nil {
			return end, items, err
		}
		h, err := decodeHeader(b[:])
		if err != nil || end+h.frameBytes() > size {
			return end, items, nil
		}
		end += h.frameBytes()
		items += h.items
	}
	return end, items, nil
}
