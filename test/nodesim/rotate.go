package nodesim

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Rotation as the kubelet does it, in its order and with its names.
// https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/logs/container_log_manager.go
const (
	rotatedTime    = "20060102-150405"
	compressSuffix = ".gz"
	tmpSuffix      = ".tmp"
)

const (
	// splitWait is how long a rotation waits for a long line to fall into it. A
	// kubelet does not wait, but splits one out of many; so rare an event would
	// go untested.
	splitWait = 200 * time.Millisecond
	// reopenDelay is the time between the rename and the runtime's answer to
	// ReopenContainerLog; until then lines go on into the renamed file.
	reopenDelay = 2 * time.Millisecond
)

// rotateIfLarge is the kubelet's periodic look at one container.
func (l *logFile) rotateIfLarge(maxBytes int64, maxFiles int) error {
	l.mu.Lock()
	// Twice in a second would overwrite the first, compressed by now.
	again := l.rotation == time.Now().Format(rotatedTime)
	large := l.current != nil && l.size >= maxBytes && !again
	l.mu.Unlock()
	if !large {
		return nil
	}
	if err := l.rotate(maxFiles); err != nil {
		return fmt.Errorf("rotate %s: %w", l.currentPath(), err)
	}
	return nil
}

// rotate removes what is too much, compresses what is not yet, and renames the
// current file, which so stays uncompressed until the next time.
func (l *logFile) rotate(maxFiles int) error {
	if err := l.prune(maxFiles); err != nil {
		return err
	}
	return l.rotateLatest()
}

func (l *logFile) prune(maxFiles int) error {
	logs, err := l.rotated()
	if err != nil {
		return err
	}
	// One for the current file, one for the one about to be renamed.
	for len(logs) > maxFiles-2 {
		if err := l.remove(logs[0]); err != nil {
			return err
		}
		logs = logs[1:]
	}
	for _, path := range logs {
		if strings.HasSuffix(path, compressSuffix) {
			continue
		}
		if err := l.compress(path); err != nil {
			return err
		}
	}
	return nil
}

// rotated lists the rotated files of the running container, oldest first, after
// removing what an interrupted compression left.
func (l *logFile) rotated() ([]string, error) {
	l.mu.Lock()
	pattern := l.currentPath() + ".*"
	l.mu.Unlock()
	all, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var used []string
	for _, path := range all {
		half := strings.HasSuffix(path, tmpSuffix)
		twice := slices.Contains(all, path+compressSuffix)
		if half || twice {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			continue
		}
		used = append(used, path)
	}
	slices.Sort(used)
	return used, nil
}

func (l *logFile) remove(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.files {
		if h.path == path {
			return l.deleteLocked(h)
		}
	}
	return errors.New("not a file of this container: " + path)
}

// compress makes path into path.gz; at no time is the log in neither.
func (l *logFile) compress(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := path + tmpSuffix
	out, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	zip := gzip.NewWriter(out)
	_, err = io.Copy(zip, in)
	if err := errors.Join(err, zip.Close(), out.Close()); err != nil {
		return fmt.Errorf("compress %s: %w", path, err)
	}
	if err := os.Rename(tmp, path+compressSuffix); err != nil {
		return err
	}
	l.mu.Lock()
	for _, h := range l.files {
		if h.path == path {
			h.path += compressSuffix
		}
	}
	l.mu.Unlock()
	return os.Remove(path)
}

// rotateLatest renames the current file and reopens. For a short time it leaves
// that to the writer, who does it in the middle of a line.
func (l *logFile) rotateLatest() error {
	l.mu.Lock()
	l.due = true
	l.mu.Unlock()
	for deadline := time.Now().Add(splitWait); time.Now().Before(deadline); {
		pause(10 * time.Millisecond)
		l.mu.Lock()
		due := l.due
		l.mu.Unlock()
		if !due {
			return nil
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.due || l.current == nil {
		return nil
	}
	l.due = false
	if err := l.renameLocked(time.Now()); err != nil {
		return err
	}
	life := l.restarts
	l.mu.Unlock()
	pause(reopenDelay)
	l.mu.Lock()
	if l.current == nil || l.restarts != life {
		return nil // its container ended meanwhile
	}
	return l.reopenLocked()
}

// rotateLatestLocked is rotateLatest at a stroke.
func (l *logFile) rotateLatestLocked(now time.Time) error {
	l.due = false
	if err := l.renameLocked(now); err != nil {
		return err
	}
	return l.reopenLocked()
}

func (l *logFile) renameLocked(now time.Time) error {
	l.rotation = now.Format(rotatedTime)
	path := l.currentPath() + "." + l.rotation
	for _, taken := range []string{path, path + compressSuffix} {
		if _, err := os.Lstat(taken); err == nil {
			return errors.New("a second rotation would overwrite " + taken)
		}
	}
	if err := os.Rename(l.currentPath(), path); err != nil {
		return err
	}
	l.current.path = path
	return nil
}

func (l *logFile) reopenLocked() error {
	if err := l.f.Close(); err != nil {
		return err
	}
	return l.openLocked()
}

// pause is short and bounded, so nobody needs to interrupt it.
func pause(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
}
