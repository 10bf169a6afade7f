package containerlogs

import (
	"errors"
	"io"
	"os"
	"time"
)

// outcome says what to do with a tail after a turn.
type outcome uint8

const (
	cold outcome = iota // nothing to read: wait for a write
	hot                 // read to the end of what is being written: look again soon
	more                // there is more to read now
)

const (
	// rotateGrace is the time between the two looks at the end of a file
	// that was rotated away, before the next one is begun.
	rotateGrace = 50 * time.Millisecond
	// hotTime is how long after its last line a file is polled instead of
	// watched: one read a tick costs less than an event for every write.
	hotTime = 2 * time.Second
)

// turn gives the tail's oldest unread chunk to the line reader.
func (l *lane) turn(t *tail) outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flushNow {
		t.flushNow = false
		l.lines.flushAll()
	}
	f := t.head()
	if f == nil {
		return cold
	}
	n, err := l.readAt(f)
	if err != nil && !errors.Is(err, io.EOF) && !l.giveUpGzip(t, f, err) {
		return cold // tried again at the next scan
	}
	chunk := l.buf[:n]
	f.seen = f.read + int64(n)
	used := l.lines.read(chunk, position{f.seq, f.read}, n == len(l.buf))
	if used == 0 {
		return l.atEnd(t, f, chunk)
	}
	l.advance(t, f, chunk, used)
	if n == len(l.buf) || len(t.files) > 1 || f.name.gzip {
		return more
	}
	return hot
}

// advance notes that used bytes of chunk, which begins at f.read, were read.
func (l *lane) advance(t *tail, f *logfile, chunk []byte, used int) {
	if f.print.bytes < fingerprintBytes && f.read == 0 {
		f.print = fingerprintOf(chunk[:used])
	} else if f.print.bytes < fingerprintBytes && f.read > int64(f.print.bytes) {
		l.renewPrint(f)
	}
	f.read += int64(used)
	f.size = max(f.size, f.seen)
	f.eofSince = time.Time{}
	t.lastData = l.now
	l.lines.tally.bytes += int64(used)
}

// renewPrint extends the fingerprint of a file that was short when first seen.
func (l *lane) renewPrint(f *logfile) {
	file, plain := f.source.(*os.File)
	if !plain {
		return
	}
	var buf [fingerprintBytes]byte
	if n, err := file.ReadAt(buf[:min(f.read, fingerprintBytes)], 0); notEOF(err) == nil {
		f.print = fingerprintOf(buf[:n])
	}
}

// readAt reads f from where the last turn ended, opening it first if needed.
func (l *lane) readAt(f *logfile) (int, error) {
	if f.source == nil {
		if err := l.r.discovery.reopen(f); err != nil {
			l.r.discovery.unreadable(err)
			return 0, err
		}
	}
	n, err := f.source.ReadAt(l.buf, f.read)
	if err != nil && !errors.Is(err, io.EOF) {
		l.r.discovery.unreadable(err)
	}
	return n, err
}

// giveUpGzip says whether err ends a compressed file: its bytes will not
// become better by trying again.
func (l *lane) giveUpGzip(t *tail, f *logfile, err error) bool {
	if _, ok := f.source.(*gzipFile); !ok {
		return false
	}
	l.r.discovery.lost(f, 0)
	return true
}

// atEnd decides what happens at the end of f; rest is the beginning of a line
// whose newline has not been written yet.
func (l *lane) atEnd(t *tail, f *logfile, rest []byte) outcome {
	file, plain := f.source.(*os.File)
	if !plain {
		return l.next(t, f, rest)
	}
	_, size, links, err := statOpen(file)
	if err != nil {
		l.r.discovery.unreadable(err)
		return cold
	}
	f.size = size
	if size < f.read {
		return l.truncated(t, f)
	}
	if links == 0 && !f.name.gzip {
		f.gone = true
	}
	quiet := l.now.Sub(t.lastData)
	switch {
	case len(t.files) > 1 || f.name.gzip:
		return l.rotatedAway(t, f, rest)
	case f.gone && (t.gone || quiet > deletedWait) && quiet > rotateGrace:
		return l.next(t, f, rest)
	case quiet > hotTime && !f.gone:
		return cold
	}
	return hot
}

// rotatedAway waits for the second look at the end of a file that has a
// successor. With two successors the writer has long gone on.
func (l *lane) rotatedAway(t *tail, f *logfile, rest []byte) outcome {
	switch {
	case len(t.files) > 2:
	case f.eofSince.IsZero():
		f.eofSince = l.now
		return hot
	case l.now.Sub(f.eofSince) < rotateGrace:
		return hot
	}
	return l.next(t, f, rest)
}

// next goes on to the file after f.
func (l *lane) next(t *tail, f *logfile, rest []byte) outcome {
	l.lines.unterminated(rest, position{f.seq, f.read})
	f.read += int64(len(rest))
	f.seen = f.read
	l.lines.tally.bytes += int64(len(rest))
	t.finish(&l.r.discovery)
	l.r.changed.Store(true) // done, and under its new name
	l.r.tel.rotations.add("followed")
	if len(t.files) > 0 {
		return more
	}
	if t.gone { // nothing continues a pending line
		l.lines.flushAll()
	}
	return cold
}

// truncated begins a file anew that became shorter than what was read.
func (l *lane) truncated(t *tail, f *logfile) outcome {
	l.lines.flushAll()
	f.read, f.seen, f.committed = 0, 0, 0
	f.print = fingerprint{}
	t.lastData = l.now
	l.r.tel.rotations.add("truncated")
	return more
}
