package containerlogs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// tail is the log of one container instance: the file it writes now and those
// that rotation left. The discovery goroutine tells it what is in the
// directory, one lane at a time reads it; mu keeps them apart and is never
// held while a batch is delivered.
//
// At most one batch with lines of a tail is in flight. That alone keeps its
// lines in order and makes what is acknowledged a prefix of what was read.
type tail struct {
	id       identity
	dir      string // absolute path of the container's directory
	rel      string // dir relative to the root
	resource pcommon.Resource

	mu       sync.Mutex
	lines    lineState
	files    []*logfile // not read to the end, oldest first
	done     []*logfile // read to the end; kept to know them when seen again
	stored   []entry    // offsets of an earlier run, not matched to a file yet
	nextSeq  int
	lastData time.Time
	flushNow bool // nothing will continue the pending lines
	gone     bool // the directory vanished

	container *dir // the discovery's, as is begun: lanes may read the tail
	begun     bool

	schedule // guarded by the scheduler
}

func newTail(id identity, dir, rel string) *tail {
	t := &tail{id: id, dir: dir, rel: rel, resource: pcommon.NewResource(), lastData: time.Now()}
	a := t.resource.Attributes()
	a.EnsureCapacity(5)
	a.PutStr("k8s.namespace.name", id.namespace)
	a.PutStr("k8s.pod.name", id.pod)
	a.PutStr("k8s.pod.uid", id.uid)
	a.PutStr("k8s.container.name", id.container)
	a.PutInt("k8s.container.restart_count", int64(id.restart))
	return t
}

// looked says how a comparison with the directory went.
type looked uint8

const (
	lookedWell   looked = iota
	lookedRaced         // names changed meanwhile: look again now
	lookedPartly        // something could not be read: look again at the next scan
)

// update compares the tail with the names in its directory.
func (t *tail) update(d *discovery, names []logName) looked {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortFunc(names, compareLogNames)
	stored := slices.Clone(t.stored)
	present := map[*logfile]bool{}
	result := lookedWell
	var fresh []*logfile
	for i, n := range names {
		if n.gzip && i > 0 && names[i-1].rotation == n.rotation {
			continue // being compressed: the plain file is still there
		}
		f, known, err := t.identify(d, n)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			result = max(result, lookedRaced)
		case err != nil:
			result = lookedPartly
			d.unreadable(err)
		default:
			present[f] = true
			if !known {
				fresh = append(fresh, f)
			}
		}
	}
	// New files are taken on in the order of their names. If a rotation came
	// between listing and opening, a name led to another file than listed.
	if result == lookedRaced || len(fresh) > 0 && !t.sameNames(names) {
		for _, f := range fresh {
			d.release(f)
		}
		t.stored = stored
		return lookedRaced
	}
	t.take(d, fresh)
	for _, f := range slices.Concat(t.files, t.done) {
		f.gone = !present[f]
	}
	t.dropGone(d)
	if result == lookedWell {
		t.stored = nil // what is left is of files that no longer exist
	}
	return result
}

// sameNames says whether the directory still holds these names of the tail.
func (t *tail) sameNames(sorted []logName) bool {
	names, err := os.ReadDir(t.dir)
	if err != nil {
		return false
	}
	now := logNames(names)[t.id.restart]
	slices.SortFunc(now, compareLogNames)
	return slices.Equal(now, sorted)
}

// take appends new files, oldest first.
func (t *tail) take(d *discovery, fresh []*logfile) {
	for _, f := range fresh {
		f.seq = t.nextSeq
		t.nextSeq++
		if f.finished.IsZero() {
			t.files = append(t.files, f)
		} else {
			d.release(f)
			t.done = append(t.done, f)
		}
	}
}

// identify finds or makes the logfile behind a name.
func (t *tail) identify(d *discovery, n logName) (f *logfile, known bool, err error) {
	path := filepath.Join(t.dir, n.String())
	id, size, err := statLog(path)
	if err != nil {
		return nil, false, err
	}
	if f := t.byInode(id, n.gzip, path); f != nil {
		f.path, f.name, f.size = path, n, size
		return f, true, nil
	}
	if n.gzip {
		if f := t.plainOf(n, path); f != nil {
			f.compressed(n, path, id, d, f == t.head())
			return f, true, nil
		}
	}
	f, err = t.add(d, n, path)
	return f, false, err
}

func (t *tail) byInode(id inode, compressed bool, path string) *logfile {
	for _, f := range slices.Concat(t.files, t.done) {
		if f.inode != id || f.name.gzip != compressed {
			continue
		}
		// An open file's inode number cannot be given to another file.
		if f.source != nil {
			return f
		}
		if prefix, err := prefixOf(path, compressed); err == nil && f.print.matches(prefix) {
			return f
		}
	}
	return nil
}

// plainOf finds the file of which n is the compressed copy.
func (t *tail) plainOf(n logName, path string) *logfile {
	files := slices.Concat(t.files, t.done)
	for _, f := range files {
		if f.name.rotation == n.rotation {
			return f
		}
	}
	prefix, err := prefixOf(path, true)
	if err != nil {
		return nil
	}
	for _, f := range files {
		if f.print.bytes > 0 && f.print.matches(prefix) {
			return f
		}
	}
	return nil
}

// compressed notes that only the compressed copy is left. A file that is being
// read is read to its end from the open descriptor; another one gives its disk
// space back and is read from the copy when its turn comes.
func (f *logfile) compressed(n logName, path string, id inode, d *discovery, reading bool) {
	f.path, f.name, f.inode, f.size = path, n, id, 0
	if !reading || f.read == 0 {
		d.release(f)
	}
}

// add makes the logfile of a file not seen before in this run.
func (t *tail) add(d *discovery, n logName, path string) (*logfile, error) {
	f := &logfile{path: path, name: n}
	prefix, err := f.examine(d)
	if err != nil {
		d.release(f)
		return nil, err
	}
	f.print = fingerprintOf(prefix)
	if e, ok := t.takeStored(f.inode, prefix); ok {
		f.resume(d, e)
	} else if d.skipExisting {
		f.read, f.seen, f.committed = f.size, f.size, f.size
		if n.rotation != "" {
			f.finished = time.Now()
		}
	}
	return f, nil
}

// examine opens a plain file, so that rotation and deletion cannot take it
// away any more, and returns the bytes it begins with.
func (f *logfile) examine(d *discovery) ([]byte, error) {
	if f.name.gzip {
		id, _, err := statLog(f.path)
		if err != nil {
			return nil, err
		}
		f.inode = id
		return prefixOf(f.path, true)
	}
	if err := d.open(f); err != nil {
		return nil, err
	}
	id, size, _, err := statOpen(f.source.(*os.File))
	if err != nil {
		return nil, err
	}
	f.inode, f.size = id, size
	buf := make([]byte, fingerprintBytes)
	k, err := f.source.ReadAt(buf, 0)
	if err := notEOF(err); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	return buf[:k], nil
}

// takeStored finds the stored offset of a file by its first bytes. Those
// differ between all files of a container; the inode only breaks a tie, since
// compression and (for devices) a reboot change it.
func (t *tail) takeStored(id inode, prefix []byte) (entry, bool) {
	best := -1
	for i, e := range t.stored {
		if e.fingerprint.bytes == 0 || !e.fingerprint.matches(prefix) {
			continue
		}
		if best < 0 || id == (inode{e.device, e.inode}) {
			best = i
		}
	}
	if best < 0 {
		return entry{}, false
	}
	e := t.stored[best]
	t.stored = slices.Delete(t.stored, best, best+1)
	return e, true
}

// resume continues at a stored offset. A plain file that is now shorter lost
// its end in a crash: its bytes are read again rather than trusted.
func (f *logfile) resume(d *discovery, e entry) {
	if !f.name.gzip && f.size < e.offset {
		d.tel.rotations.add("truncated")
		return
	}
	f.read, f.seen, f.committed = e.offset, e.offset, e.offset
	if e.done && (f.name.gzip || f.size == e.offset) && f.name.rotation != "" {
		f.finished = time.Now()
	}
}

// dropGone forgets files that are neither in the directory nor held open, and
// counts what they take with them.
func (t *tail) dropGone(d *discovery) {
	t.files = slices.DeleteFunc(t.files, func(f *logfile) bool {
		if !f.gone || f.source != nil {
			return false
		}
		d.lost(f, max(f.size-f.read, 0))
		return true
	})
	t.done = slices.DeleteFunc(t.done, func(f *logfile) bool {
		return f.gone && f.source == nil
	})
}

func (t *tail) head() *logfile {
	if len(t.files) == 0 {
		return nil
	}
	return t.files[0]
}

// finish moves the head to the files that were read. Its descriptor stays for
// a while: the runtime may still write to it after rotation.
func (t *tail) finish(d *discovery) {
	f := t.files[0]
	f.finished = time.Now()
	t.files = slices.Delete(t.files, 0, 1)
	t.done = append(t.done, f)
	if _, plain := f.source.(*os.File); !plain {
		d.release(f)
	}
}

// mark is an offset of a file that may be committed once a batch is
// acknowledged.
type mark struct {
	file   *logfile
	offset int64
}

// marks returns what the next acknowledgement commits: everything read, or
// while a line is unfinished everything before the place where it must be
// begun again. Since the line's end may come in a later file, later files then
// commit nothing.
func (t *tail) marks() []mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	held, limit := t.lines.pendingSince()
	var marks []mark
	for _, f := range slices.Concat(t.done, t.files) {
		at := f.read
		if held && limit.file <= f.seq {
			if limit.file < f.seq {
				continue
			}
			at = limit.offset
		}
		if at > f.committed {
			marks = append(marks, mark{f, at})
		}
	}
	return marks
}

func (t *tail) commit(marks []mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range marks {
		m.file.committed = m.offset
	}
}

// entries appends the tail's offsets for the offsets file.
func (t *tail) entries(out []entry) []entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range slices.Concat(t.done, t.files) {
		if f.gone || f.committed == 0 {
			continue
		}
		out = append(out, entry{
			path:        t.rel + "/" + f.name.String(),
			device:      f.inode.device,
			inode:       f.inode.number,
			fingerprint: f.print,
			offset:      f.committed,
			done:        !f.finished.IsZero() && f.committed == f.read,
		})
	}
	return append(out, t.stored...)
}
