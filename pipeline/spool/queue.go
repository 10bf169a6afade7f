package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

var (
	// errTooLarge: the entry alone would take more than a quarter of the spool.
	errTooLarge = errors.New("entry is over a quarter of max_bytes")
	// errFull: all that could be given up is being sent at this moment.
	errFull = errors.New("spool is full of data that is being sent")
)

// medium is where segments are: a directory or memory.
type medium interface {
	create(id uint64) (segmentFile, error)
	open(id uint64) (segmentFile, error)
	remove(id uint64) error
	saveCursor(position) error
	name(id uint64) string
	close() error
}

// segmentFile is an *os.File or a memoryFile.
type segmentFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// segment is one file of frames.
type segment struct {
	id    uint64
	bytes int64 // of whole frames, those already delivered included
	items int   // not yet delivered
}

// position is a place between two frames. Everything before it is delivered.
type position struct {
	segment uint64
	offset  int64
}

// queue is a first-in-first-out of entries in segments, bounded in bytes. Any
// goroutine may append; one goroutine calls next and ack in turns.
//
// Invariants: segments are in ascending order of id; the cursor is in the first
// one; only the last one is written to, and only while tail is open.
type queue struct {
	media        medium
	maxBytes     int64
	segmentBytes int64 // a segment this large is followed by a new one
	book         *book

	mu       sync.Mutex
	segments []*segment
	nextID   uint64
	bytes    int64 // of all segments
	cursor   position
	inflight bool        // entries after the cursor are being sent: keep the first segment
	tail     segmentFile // nil: the next append begins a segment
	head     segmentFile // the first segment open for reading, nil if it is not
	unsynced bool        // tail was written to since the last sync
	buf      []byte      // of the last run
}

// contents is what a medium holds from before.
type contents struct {
	segments []*segment
	cursor   position
	lastID   uint64 // the highest in use, or used as far as is known
}

// newQueue makes a queue over what a medium already has.
func newQueue(media medium, found contents, maxBytes int64, b *book) *queue {
	q := &queue{
		media: media, maxBytes: maxBytes, segmentBytes: min(maxBytes/8, maxSegmentBytes), book: b,
		segments: found.segments, cursor: found.cursor, nextID: found.lastID + 1,
	}
	for _, s := range found.segments {
		q.bytes += s.bytes
		b.recovered(s.items)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	_ = q.makeRoomLocked(0) // nothing is in flight: there is always something to give up
	return q
}

// append stores an entry. On an error nothing of it is stored.
func (q *queue) append(payload []byte, items int) error {
	frameBytes := headerBytes + int64(len(payload))
	if frameBytes > q.maxBytes/4 {
		return errTooLarge
	}
	header := encodeHeader(payload, items, time.Now())
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.makeRoomLocked(frameBytes); err != nil {
		return err
	}
	err := q.writeLocked(header, payload, items)
	if err != nil && q.reclaimLocked() {
		err = q.writeLocked(header, payload, items)
	}
	return err
}

// idleLocked tells whether nothing waits and nothing is being sent.
func (q *queue) idleLocked() bool {
	return !q.inflight && (len(q.segments) == 0 || len(q.segments) == 1 && q.cursor.offset == q.segments[0].bytes)
}

func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.idleLocked()
}

// reclaimLocked removes a segment of which everything is delivered. It is kept
// otherwise, for the next entries, but on a full disk its room is what they need.
func (q *queue) reclaimLocked() bool {
	if !q.idleLocked() || len(q.segments) == 0 || q.segments[0].bytes == 0 {
		return false
	}
	q.removeLocked(0)
	return true
}

func (q *queue) writeLocked(header [headerBytes]byte, payload []byte, items int) error {
	if err := q.beginSegmentLocked(); err != nil {
		return err
	}
	frameBytes := headerBytes + int64(len(payload))
	last := q.segments[len(q.segments)-1]
	if err := writeFrame(q.tail, header, payload, last.bytes); err != nil {
		// Give back the room that a part of the frame took. If even that fails
		// leave the file: what was written is beyond its known end.
		if truncateErr := q.tail.Truncate(last.bytes); truncateErr != nil {
			q.closeTailLocked(false)
		}
		return fmt.Errorf("write %s: %w", q.media.name(last.id), err)
	}
	last.bytes += frameBytes
	last.items += items
	q.bytes += frameBytes
	q.unsynced = true
	q.book.queued(items)
	if last.bytes >= q.segmentBytes {
		q.closeTailLocked(true)
	}
	return nil
}

// writeFrame writes the payload before the header: a header that is there when
// the process was killed in between vouches for its payload.
func writeFrame(f io.WriterAt, header [headerBytes]byte, payload []byte, offset int64) error {
	if _, err := f.WriteAt(payload, offset+headerBytes); err != nil {
		return err
	}
	_, err := f.WriteAt(header[:], offset)
	return err
}

func (q *queue) beginSegmentLocked() error {
	if q.tail != nil {
		return nil
	}
	id := q.nextID
	q.nextID++ // even on failure: a file may be there that could not be removed
	f, err := q.media.create(id)
	if err != nil {
		return fmt.Errorf("create %s: %w", q.media.name(id), err)
	}
	if len(q.segments) == 0 {
		q.cursor = position{segment: id}
	}
	q.segments = append(q.segments, &segment{id: id})
	q.tail = f
	return nil
}

// closeTailLocked ends the last segment. Data about to be removed needs no sync.
func (q *queue) closeTailLocked(sync bool) {
	if q.tail == nil {
		return
	}
	if sync && q.unsynced {
		if err := q.tail.Sync(); err != nil {
			q.book.fault("sync", "cannot make the spool safe against power loss; it is still safe against the end of this program", err)
		}
	}
	if err := q.tail.Close(); err != nil {
		q.book.fault("close", "cannot close a spool segment", err)
	}
	q.tail, q.unsynced = nil, false
}

// makeRoomLocked gives up whole segments, oldest first, until n more bytes fit.
// The one that is being sent stays: its fate is about to be known.
func (q *queue) makeRoomLocked(n int64) error {
	for q.bytes+n > q.maxBytes {
		oldest := 0
		if q.inflight {
			oldest = 1
		}
		if oldest >= len(q.segments) {
			return errFull
		}
		s := q.segments[oldest]
		q.removeLocked(oldest)
		q.book.dropped(s.items, ledger.ReasonQueueFull)
		q.book.complaints.Warn("full", "spool is full: its oldest entries are lost; the next hop is down or too slow, or max_bytes is too small",
			zap.Int("items", s.items), zap.Int64("bytes", s.bytes), zap.Int64("max_bytes", q.maxBytes))
	}
	return nil
}

// removeLocked takes the segment at index i out. The cursor is saved before the
// file goes: a crash in between leaves a file that the cursor says is done.
func (q *queue) removeLocked(i int) {
	s := q.segments[i]
	if i == len(q.segments)-1 {
		q.closeTailLocked(false)
	}
	q.segments = append(q.segments[:i], q.segments[i+1:]...)
	q.bytes -= s.bytes
	if i == 0 {
		q.closeHeadLocked()
		q.cursor = position{segment: s.id + 1}
		if len(q.segments) > 0 {
			q.cursor.segment = q.segments[0].id
		}
		q.saveCursorLocked()
	}
	if err := q.media.remove(s.id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		q.book.fault("remove", "cannot remove a spool segment; it takes space until the next start", err)
	}
}

func (q *queue) saveCursorLocked() {
	if err := q.media.saveCursor(q.cursor); err != nil {
		q.book.fault("save_cursor", "cannot save how far the spool is delivered; a restart sends again what was delivered since", err)
	}
}

// sync makes what was appended safe against power loss.
func (q *queue) sync() {
	q.mu.Lock()
	f := q.tail
	if !q.unsynced {
		f = nil
	}
	q.unsynced = false
	q.mu.Unlock()
	if f == nil {
		return
	}
	// A tail closed meanwhile was synced then, or its data were delivered.
	if err := f.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
		q.book.fault("sync", "cannot make the spool safe against power loss; it is still safe against the end of this program", err)
	}
}

// stat is the state of the queue for its gauges.
type stat struct {
	bytes    int64
	segments int
	items    int
	oldest   time.Time // zero if there is no entry
}

func (q *queue) stat() stat {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := stat{bytes: q.bytes, segments: len(q.segments)}
	for _, segment := range q.segments {
		s.items += segment.items
	}
	if s.items > 0 {
		s.oldest = q.oldestLocked()
	}
	return s
}

// oldestLocked is the time of the first entry, zero if it cannot be read; next
// tells why.
func (q *queue) oldestLocked() time.Time {
	if err := q.openHeadLocked(); err != nil {
		return time.Time{}
	}
	var b [headerBytes]byte
	if _, err := q.head.ReadAt(b[:], q.cursor.offset); err != nil {
		return time.Time{}
	}
	h, err := decodeHeader(b[:])
	if err != nil {
		return time.Time{}
	}
	return h.at
}

// close ends the queue; what is in it stays on the medium.
func (q *queue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closeTailLocked(true)
	q.closeHeadLocked()
	return q.media.close()
}
