package containerlogs

import (
	"os"
	"slices"
	"time"
)

const (
	// lateWrites is how long a rotated file is watched after its end was
	// read: containerd's old writer empties its pipe after the new file exists.
	lateWrites = 30 * time.Second
	// partialWait is how long a line may lack its end in a silent file. The
	// last output of a container that did not end it with a newline stays
	// partial for ever (containerd#4813).
	partialWait = 30 * time.Second
	// idleClose is how long a file that nobody writes is held open.
	idleClose = 5 * time.Minute
	// deletedWait is how long a deleted file without successor is followed.
	deletedWait = 30 * time.Second
	// maxPinnedBytes bounds the disk space of deleted files that are held
	// open because their end was not delivered yet.
	maxPinnedBytes = 256 << 20
)

// finding is what a look at a tail asks for.
type finding struct {
	wake, refresh, remove bool
	lag                   int64 // bytes not acknowledged
	pinned                int64 // bytes only held by our descriptors
}

// check is the periodic look at a tail, one stat for an idle one.
func (t *tail) check(d *discovery, now time.Time) finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	var r finding
	quiet := now.Sub(t.lastData)
	t.checkNewest(&r)
	for _, f := range t.files {
		f.resize()
		r.lag += max(f.size-f.committed, 0)
		if f.gone {
			r.pinned += max(f.size-f.read, 0)
			r.wake = true
		}
	}
	if len(t.files) > 1 || (len(t.files) == 1 && t.files[0].name.gzip) {
		r.wake = true
	}
	t.checkLate(d, now, &r)
	if held, _ := t.lines.pendingSince(); held && (quiet > partialWait || t.gone && len(t.files) == 0) {
		t.flushNow, r.wake = true, true
	} else {
		r.remove = t.gone && !held && len(t.files) == 0 && len(t.done) == 0
	}
	if f := t.head(); f != nil && quiet > idleClose && !f.gone && f.size == f.read && len(t.files) == 1 {
		d.release(f)
	}
	return r
}

// resize learns the size of an open file that has no path to look at.
func (f *logfile) resize() {
	file, open := f.source.(*os.File)
	if !open || !f.gone {
		return
	}
	if _, size, _, err := statOpen(file); err == nil {
		f.size = size
	}
}

// checkNewest compares the file that is written now with what its path leads
// to: it may have been replaced, also behind a symbolic link, or have grown.
func (t *tail) checkNewest(r *finding) {
	if len(t.files) == 0 {
		return
	}
	f := t.files[len(t.files)-1]
	if f.gone || f.name.gzip {
		return
	}
	id, size, err := statLog(f.path)
	if err != nil || id != f.inode {
		r.refresh = true
		return
	}
	f.size = size
	r.wake = r.wake || size != f.seen
}

// checkLate looks whether rotated files grew after their end was read. Their
// lines come late but come; not between the pieces of a line, though.
func (t *tail) checkLate(d *discovery, now time.Time, r *finding) {
	held, _ := t.lines.pendingSince()
	for _, f := range slices.Clone(t.done) {
		file, open := f.source.(*os.File)
		if !open {
			continue
		}
		_, size, _, err := statOpen(file)
		switch {
		case err == nil && size > f.read && !held:
			f.finished, f.eofSince, f.size = time.Time{}, time.Time{}, size
			t.done = slices.DeleteFunc(t.done, func(g *logfile) bool { return g == f })
			t.files = slices.Insert(t.files, 0, f)
			d.tel.rotations.add("late_write")
			r.wake = true
		case now.Sub(f.finished) > lateWrites && (err != nil || size == f.read) || t.gone:
			d.release(f)
		}
	}
	t.done = slices.DeleteFunc(t.done, func(f *logfile) bool { return f.gone && f.source == nil })
}

// unpin gives up deleted files, oldest first, until the tail holds no more
// than it may; what they held is lost and counted.
func (t *tail) unpin(d *discovery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.files {
		if f.gone && f.source != nil {
			d.release(f)
		}
	}
	t.dropGone(d)
}
