package containerlogs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// store is the folder of the offsets file. The zero value keeps nothing.
type store struct {
	directory string
	held      *os.File // its lock
}

const (
	offsetsName = "offsets"
	lockName    = "lock"
)

var errLocked = errors.New("another process follows logs with this directory, and each would overwrite the other's offsets; end it, or give each its own directory")

// lock keeps other processes out of the folder until unlock. An error other
// than errLocked means that the folder cannot be written to at all.
func (s *store) lock() error {
	if s.directory == "" {
		return nil
	}
	if err := os.MkdirAll(s.directory, 0o700); err != nil {
		return fmt.Errorf("make offsets directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.directory, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock offsets directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errLocked
		}
		return fmt.Errorf("lock offsets directory %s: %w", s.directory, err)
	}
	s.held = f
	return nil
}

func (s *store) unlock() {
	if s.held != nil {
		_ = s.held.Close() // was never written to
		s.held = nil
	}
}

// read returns the stored entries and whether there was a file. A file that
// cannot be decoded is moved aside and named in the error; then every log is
// read from its beginning, which sends lines twice but loses none.
func (s store) read() (entries []entry, found bool, err error) {
	if s.directory == "" {
		return nil, false, nil
	}
	path := filepath.Join(s.directory, offsetsName)
	b, err := readBounded(path, maxOffsetsBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err == nil {
		entries, err = decodeOffsets(b)
	}
	if err == nil {
		return entries, true, nil
	}
	err = fmt.Errorf("read offsets %s: %w", path, err)
	aside := path + ".corrupt-" + time.Now().UTC().Format("20060102-150405")
	if moveErr := os.Rename(path, aside); moveErr != nil {
		return nil, true, errors.Join(err, fmt.Errorf("move offsets aside: %w", moveErr))
	}
	return nil, true, fmt.Errorf("%w (kept as %s)", err, aside)
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("file is larger than %d bytes", limit)
	}
	return b, err
}

// write replaces the offsets file. After a crash at any point there is either
// the old file or the new one, whole: the new one is synced before it takes
// the name, and the name before write returns.
func (s store) write(b []byte) error {
	path := filepath.Join(s.directory, offsetsName)
	temporary := path + ".tmp"
	if err := writeSynced(temporary, b); err != nil {
		return fmt.Errorf("write offsets: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write offsets: %w", err)
	}
	d, err := os.Open(s.directory)
	if err != nil {
		return fmt.Errorf("sync offsets directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync offsets directory: %w", err)
	}
	return nil
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
