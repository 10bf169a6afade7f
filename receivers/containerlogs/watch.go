package containerlogs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// watcher is an inotify instance. Directories are watched for changes of
// their names. A file is watched only while it is cold, and for one write: the
// watch is an alarm that removes itself, so that a busy file costs no events.
// Everything it tells is found by the periodic scan too.
type watcher struct {
	file *os.File
	fd   int

	mu      sync.Mutex
	closed  bool
	targets map[int32]any // *dir or *tail by watch descriptor

	onDir      func(*dir)
	onTail     func(*tail)
	onOverflow func() // the kernel dropped events
}

const dirEvents = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_ONLYDIR

func newWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make inotify instance: %w", err)
	}
	return &watcher{
		file:    os.NewFile(uintptr(fd), "inotify"),
		fd:      fd,
		targets: map[int32]any{},
	}, nil
}

// watchDir reports changes of the names in d.
func (w *watcher) watchDir(d *dir) error { return w.add(d.path, dirEvents, d) }

// arm reports the next write to f, once.
func (w *watcher) arm(f *os.File, t *tail) error {
	// The descriptor's own name leads to the file even after a rename.
	return w.add("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.IN_MODIFY|unix.IN_ONESHOT, t)
}

func (w *watcher) add(path string, events uint32, target any) error {
	// The lock is held over the call: an event may come before it returns.
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	wd, err := unix.InotifyAddWatch(w.fd, path, events)
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	w.targets[int32(wd)] = target
	return nil
}

// run delivers events until close.
func (w *watcher) run() {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return
		}
		for events := buf[:n]; len(events) >= unix.SizeofInotifyEvent; {
			size := binary.NativeEndian.Uint32(events[12:])
			w.event(int32(binary.NativeEndian.Uint32(events)), binary.NativeEndian.Uint32(events[4:]))
			events = events[min(unix.SizeofInotifyEvent+int(size), len(events)):]
		}
	}
}

func (w *watcher) event(wd int32, mask uint32) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		w.onOverflow()
		return
	}
	w.mu.Lock()
	target := w.targets[wd]
	if mask&unix.IN_IGNORED != 0 {
		delete(w.targets, wd)
	}
	w.mu.Unlock()
	switch v := target.(type) {
	case *dir:
		w.onDir(v)
	case *tail:
		w.onTail(v)
	}
}

// close ends run. It does nothing for a receiver without watcher.
func (w *watcher) close() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		w.file.Close()
	}
}
