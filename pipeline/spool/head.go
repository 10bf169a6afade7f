package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"go.uber.org/zap"
)

// The head is the queue's oldest segment, which is read at the cursor while the
// tail is written to; they may be the same segment.

func (q *queue) openHeadLocked() error {
	if q.head != nil {
		return nil
	}
	f, err := q.media.open(q.cursor.segment)
	if err != nil {
		return err
	}
	q.head = f
	return nil
}

func (q *queue) closeHeadLocked() {
	if q.head != nil {
		_ = q.head.Close() // read only: nothing to lose
		q.head = nil
	}
}

// next returns the oldest entries, joined up to limit bytes of payload but at
// least one, and no frames if there is none. They stay until ack: without it the
// same ones come again. The payload is valid until the next call.
func (q *queue) next(limit int) (run, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.segments) > 0 {
		if q.cursor.offset == q.segments[0].bytes {
			if len(q.segments) == 1 {
				break
			}
			q.removeLocked(0) // delivered, and no longer written to
			continue
		}
		r, err := q.readLocked(limit)
		if err == nil {
			q.inflight = true
			return r, nil
		}
		if !errors.Is(err, errHeader) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, io.EOF) {
			return run{}, fmt.Errorf("read %s at %d: %w", q.media.name(q.cursor.segment), q.cursor.offset, err)
		}
		q.abandonLocked(err)
	}
	return run{}, nil
}

func (q *queue) readLocked(limit int) (run, error) {
	if err := q.openHeadLocked(); err != nil {
		return run{}, err
	}
	left := q.segments[0].bytes - q.cursor.offset
	if left < headerBytes {
		return run{}, errHeader
	}
	want := min(left, headerBytes+int64(limit))
	for {
		q.buf = sized(q.buf, want)
		if _, err := q.head.ReadAt(q.buf, q.cursor.offset); err != nil {
			return run{}, err
		}
		r, err := joinFrames(q.buf, limit)
		if err != nil || r.frames > 0 {
			return r, err
		}
		// The first frame is larger than limit. Its size is bounded by the
		// segment's before it is allocated.
		if h, err := decodeHeader(q.buf); err != nil || h.frameBytes() > left || h.frameBytes() <= want {
			return run{}, errHeader
		} else {
			want = h.frameBytes()
		}
	}
}

// sized returns b with a length of n, without keeping room far beyond it.
func sized(b []byte, n int64) []byte {
	if int64(cap(b)) < n || int64(cap(b)) > 4*max(n, maxSendBytes) {
		return make([]byte, n)
	}
	return b[:n]
}

// abandonLocked gives up the rest of the first segment, which cannot be read.
func (q *queue) abandonLocked(err error) {
	s := q.segments[0]
	q.book.corrupt(s.items, s.bytes-q.cursor.offset)
	q.book.complaints.Error("unreadable", "the rest of a spool segment cannot be read: its entries are lost; check the disk",
		zap.String("segment", q.media.name(s.id)), zap.Int64("offset", q.cursor.offset),
		zap.Int("items", s.items), zap.Error(err))
	q.removeLocked(0)
}

// ack moves the cursor past a run: its items are delivered, or refused for good
// and counted where that was decided.
func (q *queue) ack(r run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inflight = false
	if r.corrupt > 0 {
		q.book.complaints.Error("checksum", "entries in the spool fail their checksum: they are lost; check the disk",
			zap.String("segment", q.media.name(q.cursor.segment)), zap.Int64("offset", q.cursor.offset), zap.Int("items", r.corrupt))
		q.book.corrupt(r.corrupt, 0)
	}
	q.book.queued(-r.items)
	first := q.segments[0]
	first.items -= r.items + r.corrupt
	q.cursor.offset += r.bytes
	// A small segment that is still written to stays, so that an idle spool does
	// not make a file for every entry.
	writing := len(q.segments) == 1 && q.tail != nil
	if q.cursor.offset == first.bytes && (!writing || first.bytes >= q.segmentBytes/8) {
		q.removeLocked(0)
		return
	}
	q.saveCursorLocked()
}
