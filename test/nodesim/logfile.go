package nodesim

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// pieceBytes is containerd's max_container_log_line_size: a longer line is
// written as pieces tagged P, the last one tagged F.
// https://github.com/containerd/containerd/blob/main/internal/cri/io/logger.go
const pieceBytes = 16 << 10

// logFile is a container's log as runtime and kubelet keep it on disk, with
// account of which lines are in which file.
type logFile struct {
	dir       string // <pods>/<namespace>_<pod>_<uid>/<container>
	format    lineFormat
	stream    string
	longEvery uint64 // each so-many-th line is longLineBytes long

	mu       sync.Mutex
	restarts int
	id       string    // of the running container
	f        *os.File  // current file
	size     int64     // of it
	current  *heldFile // nil once closed
	files    []*heldFile
	deleted  []Range
	written  uint64
	last     time.Time // of the newest record; the next one is later
	due      bool      // a rotation waits for the next piece of a long line
	rotation string    // when the latest was, as in the file's name
	splits   int       // lines cut by a rotation
	buf      []byte
}

// heldFile is a file and the lines that are in it, whole or in part.
type heldFile struct {
	path    string
	restart int
	lines   Range // First 0 = none
}

// StreamStatus is what became of a container's lines on the node.
type StreamStatus struct {
	Stream, Namespace, Pod, Container string
	Written                           uint64  // lines 1..Written are or were in its files
	Deleted                           []Range // of them, in files that the kubelet has deleted
	Newest                            time.Time
	Splits                            int // lines whose pieces are in two files
}

// create makes the folder and the first file.
func (l *logFile) create() error {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	return l.openLocked()
}

// currentPath is that of the file being written.
func (l *logFile) currentPath() string {
	return filepath.Join(l.dir, fmt.Sprintf("%d.log", l.restarts))
}

func (l *logFile) openLocked() error {
	f, err := os.OpenFile(l.currentPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.f, l.size = f, 0
	l.current = &heldFile{path: l.currentPath(), restart: l.restarts}
	l.files = append(l.files, l.current)
	return nil
}

// write appends the stream's next line.
func (l *logFile) write(now time.Time, traceID, spanID string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		return nil // the container has ended
	}
	seq, size := l.written+1, 0
	if seq%l.longEvery == 0 {
		size = longLineBytes
	}
	l.buf = appendLine(l.buf[:0], l.format, line{at: now, stream: l.stream, seq: seq, traceID: traceID, spanID: spanID, bytes: size})
	stdio := "stdout"
	if seq%7 == 3 {
		stdio = "stderr"
	}
	text := l.buf
	for pieces := 1; len(text) > pieceBytes; pieces++ {
		if err := l.appendLocked(now, stdio, "P", text[:pieceBytes], seq); err != nil {
			return err
		}
		text = text[pieceBytes:]
		if l.due && pieces == 1 {
			l.splits++
			if err := l.rotateLatestLocked(time.Now()); err != nil {
				return err
			}
		}
	}
	if err := l.appendLocked(now, stdio, "F", text, seq); err != nil {
		return err
	}
	l.written = seq
	return nil
}

// appendLocked writes one CRI record: time, stdio, tag, text.
func (l *logFile) appendLocked(now time.Time, stdio, tag string, text []byte, seq uint64) error {
	if !now.After(l.last) {
		now = l.last.Add(1)
	}
	l.last = now
	b := make([]byte, 0, len(text)+64)
	b = now.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, ' ')
	b = append(b, stdio...)
	b = append(b, ' ')
	b = append(b, tag...)
	b = append(b, ' ')
	b = append(b, text...)
	b = append(b, '\n')
	if _, err := l.f.Write(b); err != nil {
		return fmt.Errorf("write log of %s: %w", l.stream, err)
	}
	l.size += int64(len(b))
	if l.current.lines.First == 0 {
		l.current.lines.First = seq
	}
	l.current.lines.Last = seq
	return nil
}

// end closes the log; the container is done.
func (l *logFile) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		return nil
	}
	l.current = nil
	return l.f.Close()
}

// restart begins the log of the container's next life. The kubelet keeps one
// dead container; older ones go with their logs.
func (l *logFile) restart(id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		return nil
	}
	if err := l.f.Close(); err != nil {
		return err
	}
	l.restarts++
	l.id = id
	for _, h := range append([]*heldFile(nil), l.files...) {
		if h.restart < l.restarts-1 {
			if err := l.deleteLocked(h); err != nil {
				return err
			}
		}
	}
	return l.openLocked()
}

func (l *logFile) deleteLocked(h *heldFile) error {
	if err := os.Remove(h.path); err != nil {
		return err
	}
	for i, f := range l.files {
		if f == h {
			l.files = append(l.files[:i], l.files[i+1:]...)
			break
		}
	}
	if h.lines.First > 0 {
		l.deleted = merge(append(l.deleted, h.lines))
	}
	return nil
}

// identity is the running container's id and how often it was restarted.
func (l *logFile) identity() (id string, restarts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id, l.restarts
}

func (l *logFile) status() StreamStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return StreamStatus{Stream: l.stream, Written: l.written, Newest: l.last, Splits: l.splits,
		Deleted: append([]Range(nil), l.deleted...)}
}
