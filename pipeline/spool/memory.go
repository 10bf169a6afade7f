package spool

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// memory is the medium without a directory. The queue calls it under its lock.
type memory struct {
	files map[uint64]*memoryFile
}

func newMemory() *memory { return &memory{files: map[uint64]*memoryFile{}} }

func (m *memory) create(id uint64) (segmentFile, error) {
	m.files[id] = &memoryFile{}
	return m.files[id], nil
}

func (m *memory) open(id uint64) (segmentFile, error) {
	f, ok := m.files[id]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f, nil
}

func (m *memory) remove(id uint64) error {
	delete(m.files, id)
	return nil
}

func (m *memory) name(id uint64) string { return fmt.Sprintf("segment %d in memory", id) }

func (*memory) saveCursor(position) error { return nil }

func (*memory) close() error { return nil }

// memoryFile is a segment in memory. It is never written to beyond its end plus
// one frame, which the queue bounds.
type memoryFile struct{ data []byte }

func (f *memoryFile) WriteAt(p []byte, offset int64) (int, error) {
	if end := int(offset) + len(p); end > len(f.data) {
		if end > cap(f.data) { // doubled: append alone grows by a quarter and copies more
			f.data = slices.Grow(f.data, max(end, 2*cap(f.data))-len(f.data))
		}
		f.data = f.data[:end]
	}
	return copy(f.data[offset:], p), nil
}

func (f *memoryFile) ReadAt(p []byte, offset int64) (int, error) {
	if offset > int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) Truncate(size int64) error {
	f.data = f.data[:size]
	return nil
}

func (*memoryFile) Sync() error { return nil }

func (*memoryFile) Close() error { return nil }
