package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"go.uber.org/zap"
)

const (
	segmentSuffix = ".segment"
	cursorName    = "cursor"
	cursorBytes   = 20 // segment, offset, CRC-32C of both
)

// directory is the medium of files. It belongs to one process at a time.
type directory struct {
	path   string
	lock   *os.File
	cursor *os.File // nil until first saved
}

// openDirectory makes the directory if there is none, and locks it.
func openDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make spool directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock spool directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock spool directory %s: another process or component uses it; give each its own", path)
		}
		return nil, fmt.Errorf("lock spool directory %s: %w", path, err)
	}
	return &directory{path: path, lock: lock}, nil
}

func (d *directory) name(id uint64) string {
	return filepath.Join(d.path, fmt.Sprintf("%016x%s", id, segmentSuffix))
}

// create also syncs the directory: a synced file without a name is lost.
func (d *directory) create(id uint64) (segmentFile, error) {
	f, err := os.OpenFile(d.name(id), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := d.sync(); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(d.name(id)))
	}
	return f, nil
}

func (d *directory) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *directory) open(id uint64) (segmentFile, error) { return os.Open(d.name(id)) }

func (d *directory) remove(id uint64) error { return os.Remove(d.name(id)) }

func (d *directory) close() error {
	var err error
	if d.cursor != nil {
		err = d.cursor.Close()
	}
	return errors.Join(err, d.lock.Close()) // which gives up the lock
}

// saveCursor overwrites 20 bytes at the front of a file, a single copy in the
// kernel that no signal can cut. It is not synced: after a power loss an older
// cursor, or one torn across the checksum, means data sent again, not lost.
func (d *directory) saveCursor(p position) error {
	if d.cursor == nil {
		f, err := os.OpenFile(filepath.Join(d.path, cursorName), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		d.cursor = f
	}
	b := encodeCursor(p)
	_, err := d.cursor.WriteAt(b[:], 0)
	return err
}

func encodeCursor(p position) [cursorBytes]byte {
	var b [cursorBytes]byte
	binary.LittleEndian.PutUint64(b[0:], p.segment)
	binary.LittleEndian.PutUint64(b[8:], uint64(p.offset))
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
	return b
}

// decodeCursor returns the zero position, which is before all segments, for
// anything that is not a cursor.
func decodeCursor(b []byte) position {
	if len(b) != cursorBytes || binary.LittleEndian.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) {
		return position{}
	}
	p := position{segment: binary.LittleEndian.Uint64(b[0:]), offset: int64(binary.LittleEndian.Uint64(b[8:]))}
	if p.offset < 0 {
		return position{}
	}
	return p
}

// recover finds what an earlier process left: segments with entries that are not
// delivered, and the place of the first. Segments that are delivered are removed,
// unreadable ends cut off.
func (d *directory) recover(b *book) (contents, error) {
	ids, err := d.segmentIDs()
	if err != nil {
		return contents{}, fmt.Errorf("list spool directory: %w", err)
	}
	saved, err := readAtMost(filepath.Join(d.path, cursorName), cursorBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.fault("read_cursor", "cannot read how far the spool was delivered: all of it is sent again", err)
	}
	cursor := decodeCursor(saved)
	// Ids are never used twice: a file that could not be removed must not meet a
	// new one of its name.
	found := contents{cursor: cursor, lastID: cursor.segment}
	for _, id := range ids {
		found.lastID = max(found.lastID, id)
		from := int64(0)
		if id == cursor.segment {
			from = cursor.offset
		}
		s := d.recoverSegment(id, from, id < cursor.segment, b)
		if s == nil {
			continue
		}
		if len(found.segments) == 0 {
			found.cursor = position{segment: id, offset: min(from, s.bytes)}
		}
		found.segments = append(found.segments, s)
	}
	return found, nil
}

func (d *directory) segmentIDs() ([]uint64, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var ids []uint64
	for _, e := range entries {
		hex, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if id, err := strconv.ParseUint(hex, 16, 64); ok && err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// recoverSegment returns nil for a segment without entries after from, and
// removes it.
func (d *directory) recoverSegment(id uint64, from int64, delivered bool, b *book) *segment {
	s, err := d.inspect(id, from, b)
	if err != nil {
		b.fault("recover", "cannot read a spool segment: its entries stay on disk until the next start", err)
		return nil
	}
	if s.items > 0 && !delivered {
		return s
	}
	if err := d.remove(id); err != nil {
		b.fault("remove", "cannot remove a spool segment; it takes space until the next start", err)
	}
	return nil
}

func (d *directory) inspect(id uint64, from int64, b *book) (*segment, error) {
	f, err := os.OpenFile(d.name(id), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	end, items, err := scan(f, min(from, size), size)
	if err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", f.Name(), end, err)
	}
	if end < size {
		b.complaints.Warn("torn", "the end of a spool segment is cut off: it was being written when the last process or the machine died, or the disk is damaged",
			zap.String("segment", f.Name()), zap.Int64("offset", end), zap.Int64("bytes", size-end))
		b.corrupt(0, size-end)
		if err := f.Truncate(end); err != nil {
			return nil, fmt.Errorf("cut off %s: %w", f.Name(), err)
		}
	}
	return &segment{id: id, bytes: end, items: items}, nil
}

func readAtMost(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}
