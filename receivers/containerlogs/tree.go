package containerlogs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// dir is a directory of the tree: the root (depth 0), a pod's (1), a
// container's (2).
type dir struct {
	path     string
	depth    int
	id       identity // of a pod's directory on, without restart
	modified time.Time
	settled  bool // modified lies long enough before the last reading
	read     bool // was read at least once
	watched  bool
	gone     bool
	children map[string]*dir
	tails    map[int]*tail // by restart
}

// settleTime covers the coarse clock of file systems: a name that appears in
// the same tick as our reading does not change the directory's time again.
const settleTime = 2 * time.Second

// rescan looks at d and all below it, reading only directories that changed.
func (d *discovery) rescan(x *dir) {
	info, err := os.Stat(x.path)
	if err != nil || !x.settled || !info.ModTime().Equal(x.modified) {
		d.refresh(x)
	}
	for _, child := range x.children {
		d.rescan(child)
	}
}

// refresh reads directory x; new directories below it are read too.
func (d *discovery) refresh(x *dir) {
	if x.gone && x.depth > 0 {
		return // an event that came late
	}
	d.watchOnce(x) // before reading: no name slips between
	info, err := os.Stat(x.path)
	var names []os.DirEntry
	if err == nil {
		names, err = os.ReadDir(x.path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.vanish(x)
		return
	case err != nil:
		x.settled = false
		d.unreadable(err)
		return
	}
	x.modified, x.read, x.gone = info.ModTime(), true, false
	x.settled = time.Since(x.modified) > settleTime
	if x.depth == 2 {
		d.refreshLogs(x, names)
		return
	}
	d.refreshDirs(x, names)
}

func (d *discovery) watchOnce(x *dir) {
	if x.watched || d.watch == nil {
		return
	}
	err := d.watch.watchDir(x)
	x.watched = err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, os.ErrClosed) {
		d.unwatched(err)
	}
}

// unwatched reports that inotify refused; scans find everything too, later.
func (d *discovery) unwatched(err error) {
	d.tel.readErrors.add("inotify")
	d.complaints.Warn("inotify",
		"Changes are only found by the periodic scan, so lines arrive later. Raise fs.inotify.max_user_watches.", zap.Error(err))
}

func (d *discovery) refreshDirs(x *dir, names []os.DirEntry) {
	if x.children == nil {
		x.children = map[string]*dir{}
	}
	present := make(map[string]struct{}, len(names))
	for _, n := range names {
		if !n.IsDir() {
			continue
		}
		present[n.Name()] = struct{}{}
		if c := x.children[n.Name()]; c != nil && !c.gone {
			continue
		}
		if child, ok := d.child(x, n.Name()); ok {
			x.children[n.Name()] = child
			d.refresh(child)
		}
	}
	for name, child := range x.children {
		if _, ok := present[name]; !ok {
			d.vanish(child)
			delete(x.children, name)
		}
	}
}

// child makes the directory of a pod or a container, false for one that is
// neither or is excluded.
func (d *discovery) child(x *dir, name string) (*dir, bool) {
	c := &dir{path: filepath.Join(x.path, name), depth: x.depth + 1, id: x.id}
	if x.depth == 0 {
		var ok bool
		c.id.namespace, c.id.pod, c.id.uid, ok = parsePodDir(name)
		return c, ok
	}
	c.id.container = name
	return c, !excluded(d.cfg.Exclude, c.id)
}

// refreshLogs tells the tails of a container's directory what is in it.
func (d *discovery) refreshLogs(x *dir, names []os.DirEntry) {
	if x.tails == nil {
		x.tails = map[int]*tail{}
	}
	logs := logNames(names)
	for restart := range logs {
		if x.tails[restart] == nil {
			x.tails[restart] = d.newTail(x, restart)
		}
	}
	for restart, t := range x.tails {
		switch t.update(d, logs[restart]) {
		case lookedRaced:
			x.settled = false
			d.markDirty(x)
			continue
		case lookedPartly:
			x.settled = false
		}
		if len(logs[restart]) == 0 {
			t.vanish()
			delete(x.tails, restart)
		}
		d.begin(t)
	}
}

// logNames sorts the names of log files by restart.
func logNames(names []os.DirEntry) map[int][]logName {
	logs := map[int][]logName{}
	for _, e := range names {
		if n, ok := parseLogName(e.Name()); ok {
			logs[n.restart] = append(logs[n.restart], n)
		}
	}
	return logs
}

func (d *discovery) newTail(x *dir, restart int) *tail {
	id := x.id
	id.restart = restart
	t := newTail(id, x.path, d.relative(x.path))
	t.container = x
	key := t.rel + "/" + strconv.Itoa(restart)
	d.mu.Lock()
	defer d.mu.Unlock()
	t.stored = d.stored[key]
	delete(d.stored, key)
	d.tails[t] = struct{}{}
	return t
}

// refreshTail reads the directory of a tail whose path changed its file.
func (d *discovery) refreshTail(t *tail) {
	if t.container.tails != nil {
		d.refresh(t.container)
	}
}

// vanish ends a directory that no longer exists. Open files are read to their
// end.
func (d *discovery) vanish(x *dir) {
	for _, child := range x.children {
		d.vanish(child)
	}
	for _, t := range x.tails {
		t.update(d, nil)
		t.vanish()
		d.sched.wake(t)
	}
	x.children, x.tails, x.settled, x.watched, x.gone = nil, nil, false, false, true
}

// vanish notes that no file of the tail has a name any more.
func (t *tail) vanish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
}
