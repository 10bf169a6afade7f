package terminations

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	snapshotName = "terminations.json"
	journalName  = "terminations.journal"
	// maxJournalBytes is where a new snapshot takes the journal's place.
	maxJournalBytes = 1 << 20
	// maxStateBytes bounds what is read back; 20,000 containers take 6 MB.
	maxStateBytes = 64 << 20
)

// journal keeps the tally on disk: a snapshot, written whole, and the records
// since. A record is given to the kernel as soon as the tally has it, so that it
// survives the end of the process, and is on the disk before anybody is told of
// its count, so that no counter ever goes back.
type journal struct {
	directory  string // "": nothing is kept
	generation uint64
	file       *os.File // nil: none could be made, or none is wanted
	bytes      int
	dirty      bool // not synced
}

// open reads what is there into the tally. Found is false if there was nothing:
// Crowsnest is new on the node.
func (j *journal) open(t *tally, now time.Time) (found bool, err error) {
	if j.directory == "" {
		return false, nil
	}
	if err := os.MkdirAll(j.directory, 0o700); err != nil {
		return false, fmt.Errorf("make folder of state: %w", err)
	}
	b, err := readBounded(j.path(snapshotName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if j.generation, err = t.decode(b, now); err != nil {
		return true, errors.Join(err, j.setAside())
	}
	b, err = readBounded(j.path(journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	if _, torn := t.replay(b, j.generation); torn > 0 {
		return true, fmt.Errorf("read journal %s: its last %d bytes are no records: they were being written when the agent or the node died",
			j.path(journalName), torn)
	}
	return true, nil
}

// setAside keeps an unreadable snapshot for those who want to know.
func (j *journal) setAside() error {
	if err := os.Rename(j.path(snapshotName), j.path(snapshotName+".corrupt")); err != nil {
		return fmt.Errorf("set aside unreadable state: %w", err)
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxStateBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read state %s: %w", path, err)
	}
	if len(b) > maxStateBytes {
		return nil, fmt.Errorf("read state %s: it has more than %d bytes", path, maxStateBytes)
	}
	return b, nil
}

func (j *journal) path(name string) string { return filepath.Join(j.directory, name) }

// append writes a record.
func (j *journal) append(r record) error {
	if j.file == nil {
		return nil // the next snapshot has it
	}
	line, err := encodeLine(r)
	if err != nil {
		return err
	}
	n, err := j.file.Write(line)
	j.bytes += n
	j.dirty = true
	if err != nil {
		// Half a line may be there, and what followed would not be read.
		return errors.Join(fmt.Errorf("write journal of terminations: %w", err), j.close())
	}
	return nil
}

// sync puts all records on the disk; by a new snapshot if the journal is long
// or broken.
func (j *journal) sync(t *tally) error {
	if j.directory == "" {
		return nil
	}
	if j.file == nil || j.bytes > maxJournalBytes {
		return j.compact(t)
	}
	if !j.dirty {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync journal of terminations: %w", err), j.close())
	}
	j.dirty = false
	return nil
}

// compact writes a snapshot and begins a journal. A crash between the two
// leaves a journal of the generation before, which is not read.
func (j *journal) compact(t *tally) error {
	if j.directory == "" {
		return nil
	}
	b, err := t.encode(j.generation + 1)
	if err != nil {
		return fmt.Errorf("encode state of terminations: %w", err)
	}
	if err := writeWhole(j.directory, snapshotName, b); err != nil {
		return err
	}
	j.generation++
	err = j.close()
	head, headErr := encodeLine(journalHead{j.generation})
	if err := errors.Join(err, headErr, writeWhole(j.directory, journalName, head)); err != nil {
		return err
	}
	if j.file, err = os.OpenFile(j.path(journalName), os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return fmt.Errorf("open journal of terminations: %w", err)
	}
	j.bytes, j.dirty = len(head), false
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	if err != nil {
		return fmt.Errorf("close journal of terminations: %w", err)
	}
	return nil
}

// writeWhole writes a file so that either the old or the new one is there.
func writeWhole(directory, name string, b []byte) error {
	temporary := filepath.Join(directory, name+".new")
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write state of terminations: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temporary, filepath.Join(directory, name))
	}
	if err == nil {
		err = syncFolder(directory)
	}
	if err != nil {
		return fmt.Errorf("write state of terminations %s: %w", name, err)
	}
	return nil
}

// syncFolder makes a rename last.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
