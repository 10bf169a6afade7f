package containerlogs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

// discovery keeps the tree of directories under the root and the tails in it.
// run is its only goroutine; open, release, unreadable and lost are also
// called by lanes.
type discovery struct {
	cfg        *Config
	complaints *complaint.Log
	tel        *telemetry
	watch      *watcher // nil: by scans alone
	sched      *scheduler
	stored     map[string][]entry // by tail key, until the tail is made
	admit      func(*tail) bool   // nil: every tail is read at once

	skipExisting bool // start_at: end, and no offsets of an earlier run
	root         *dir
	unadmitted   map[*tail]time.Time // since when

	mu    sync.Mutex
	tails map[*tail]struct{}
	dirty map[*dir]struct{}

	kick      chan struct{} // dirty became non-empty
	scanned   atomic.Bool   // the first scan is over
	failed    atomic.Bool   // something could not be read in this scan
	openFiles atomic.Int64
	maxOpen   int64
	maxPinned int64 // bytes
}

func (d *discovery) init() {
	d.root = &dir{path: d.cfg.Root}
	d.unadmitted = map[*tail]time.Time{}
	d.tails = map[*tail]struct{}{}
	d.dirty = map[*dir]struct{}{}
	d.kick = make(chan struct{}, 1)
	d.maxOpen, d.maxPinned = openFileLimit(), maxPinnedBytes
	if d.watch != nil {
		d.watch.onDir = d.markDirty
		d.watch.onTail = d.sched.wake
		d.watch.onOverflow = d.wakeAll
	}
}

// admitEvery is how often it is asked whether a waiting tail's pod is known.
const admitEvery = 50 * time.Millisecond

// run scans until ctx ends.
func (d *discovery) run(ctx context.Context) {
	d.scan(time.Now())
	lastScan := time.Now()
	timer := time.NewTimer(d.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.kick:
			d.refreshDirty()
		case <-timer.C:
			if time.Since(lastScan) >= d.cfg.ScanInterval-admitEvery/2 {
				d.scan(time.Now())
				lastScan = time.Now()
			}
			timer.Reset(d.pause())
		}
		d.admitTails(time.Now())
	}
}

// pause is the time to the next look: short while a tail waits for its pod.
func (d *discovery) pause() time.Duration {
	if len(d.unadmitted) > 0 {
		return min(admitEvery, d.cfg.ScanInterval)
	}
	return d.cfg.ScanInterval
}

// scan looks at every directory and every tail.
func (d *discovery) scan(now time.Time) {
	d.failed.Store(false)
	d.rescan(d.root)
	var lag, pinned int64
	for t := range d.tails { // only this goroutine changes it
		r := t.check(d, now)
		lag += r.lag
		pinned += r.pinned
		d.act(t, r)
		if pinned > d.maxPinned {
			t.unpin(d)
			pinned -= r.pinned
		}
	}
	d.tel.lag.Store(lag)
	if !d.root.read {
		return
	}
	d.skipExisting = false
	if !d.failed.Load() {
		d.mu.Lock()
		d.stored = nil // left are offsets of pods that are gone
		d.mu.Unlock()
	}
	d.scanned.Store(true)
}

func (d *discovery) act(t *tail, r finding) {
	if r.refresh {
		d.refreshTail(t)
		r.wake = true
	}
	if r.remove {
		d.mu.Lock()
		delete(d.tails, t)
		d.mu.Unlock()
		delete(d.unadmitted, t)
		return
	}
	if _, wait := d.unadmitted[t]; r.wake && !wait {
		d.sched.wake(t)
	}
}

// begin takes a tail on: it is read at once, or when its pod is known. One
// that was taken on before looks for what is new.
func (d *discovery) begin(t *tail) {
	if t.begun {
		d.act(t, finding{wake: true})
		return
	}
	t.begun = true
	if d.admit != nil && !d.admit(t) {
		d.unadmitted[t] = time.Now()
		return
	}
	if d.admit != nil {
		d.tel.podWaits.add("known")
	}
	d.sched.wake(t)
}

// admitTails lets tails be read whose pod became known or who waited long
// enough: what the path says is sent then.
func (d *discovery) admitTails(now time.Time) {
	for t, since := range d.unadmitted {
		known := d.admit(t)
		if !known && now.Sub(since) < d.cfg.PodWait {
			continue
		}
		if known {
			d.tel.podWaits.add("known")
		} else {
			d.tel.podWaits.add("timeout")
		}
		delete(d.unadmitted, t)
		d.sched.wake(t)
	}
}

func (d *discovery) markDirty(x *dir) {
	d.mu.Lock()
	d.dirty[x] = struct{}{}
	d.mu.Unlock()
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func (d *discovery) refreshDirty() {
	d.mu.Lock()
	dirty := d.dirty
	d.dirty = map[*dir]struct{}{}
	d.mu.Unlock()
	for x := range dirty {
		d.refresh(x)
	}
}

// wakeAll is for when events were dropped: every tail looks for itself.
func (d *discovery) wakeAll() {
	for _, t := range d.snapshot() {
		d.sched.wake(t)
	}
	d.markDirty(d.root)
}

func (d *discovery) snapshot() []*tail {
	d.mu.Lock()
	defer d.mu.Unlock()
	tails := make([]*tail, 0, len(d.tails))
	for t := range d.tails {
		tails = append(tails, t)
	}
	return tails
}

// open opens f's path and counts the descriptor.
func (d *discovery) open(f *logfile) error {
	if d.openFiles.Add(1) > d.maxOpen {
		d.openFiles.Add(-1)
		return &fs.PathError{Op: "open", Path: f.path, Err: errTooManyOpen}
	}
	var err error
	if f.name.gzip {
		var z *gzipFile
		if z, err = openGzip(f.path); err == nil {
			f.source = z
			return nil
		}
	} else {
		var file *os.File
		if file, _, err = openLog(f.path); err == nil {
			f.source = file
			return nil
		}
	}
	d.openFiles.Add(-1)
	return err
}

var errTooManyOpen = errors.New("half of the process's limit of open files is in use")

// reopen opens a file that was closed while idle, if its path still leads to it.
func (d *discovery) reopen(f *logfile) error {
	if err := d.open(f); err != nil {
		return err
	}
	file, plain := f.source.(*os.File)
	if !plain {
		return nil
	}
	id, _, _, err := statOpen(file)
	if err == nil && id != f.inode {
		err = &fs.PathError{Op: "open", Path: f.path, Err: errReplaced}
	}
	if err != nil {
		d.release(f)
	}
	return err
}

var errReplaced = errors.New("another file has taken its name")

func (d *discovery) release(f *logfile) {
	if f.source == nil {
		return
	}
	f.source.Close()
	f.source = nil
	d.openFiles.Add(-1)
}

// unreadable counts and reports an error of a file or directory. The file is
// tried again at every scan.
func (d *discovery) unreadable(err error) {
	reason := "io"
	switch {
	case errors.Is(err, fs.ErrPermission):
		reason = "permission"
	case errors.Is(err, errNotRegular):
		reason = "not_regular"
	case errors.Is(err, errTooManyOpen):
		reason = "open_files"
	case errors.Is(err, errReplaced), errors.Is(err, fs.ErrNotExist):
		reason = "replaced"
	}
	d.failed.Store(true)
	d.tel.readErrors.add(reason)
	d.complaints.Warn("read/"+reason,
		"Log file cannot be read; its lines wait, other files go on. It is tried again at every scan.", zap.Error(err))
}

// openFileLimit is half of what the process may open: the rest is for
// connections and other receivers.
func openFileLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<20 {
		return 1 << 19
	}
	return int64(limit.Cur / 2)
}

// lost counts a file that vanished, or cannot be read to its end, with bytes
// that were not delivered.
func (d *discovery) lost(f *logfile, bytes int64) {
	if bytes == 0 && !f.name.gzip {
		return
	}
	d.tel.lostFiles.Add(context.Background(), 1)
	d.tel.lostBytes.Add(context.Background(), bytes)
	d.complaints.Warn("lost",
		"Log file was deleted or is damaged before its end was delivered; the lines are lost. Deliver faster or let kubelet keep more (containerLogMaxFiles).",
		zap.String("path", f.path), zap.Int64("bytes", bytes))
}

// closeAll closes every file; for Shutdown, when nothing runs any more.
func (d *discovery) closeAll() {
	for _, t := range d.snapshot() {
		t.mu.Lock()
		for _, f := range append(t.files, t.done...) {
			d.release(f)
		}
		t.mu.Unlock()
	}
}

func (d *discovery) relative(path string) string {
	rel, err := filepath.Rel(d.cfg.Root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}
