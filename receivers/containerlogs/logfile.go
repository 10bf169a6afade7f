package containerlogs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

var errNotRegular = errors.New("not a regular file")

// logfile is one file of a container's log. Its offsets count uncompressed
// bytes, so that they hold for a rotated file and its compressed copy alike.
type logfile struct {
	seq   int    // place in the order of rotation within the tail
	path  string // where it was last seen
	name  logName
	inode inode
	print fingerprint
	size  int64 // last seen; 0 for a compressed file

	source source // nil while not held open

	read      int64 // first byte not given to the line reader
	seen      int64 // end of the bytes looked at: read, and an unfinished line
	committed int64 // first byte not acknowledged
	gone      bool  // no longer in the directory

	eofSince time.Time // when the end was first met with a successor there
	finished time.Time // when the tail went on to the next file; zero before
}

// inode identifies a file as long as it exists.
type inode struct{ device, number uint64 }

// source is an open log file.
type source interface {
	io.ReaderAt
	io.Closer
}

// statLog looks at a path, following symbolic links (Docker's files are
// links into its own directory).
func statLog(path string) (inode, int64, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return inode{}, 0, fmt.Errorf("stat %s: %w", path, err)
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return inode{}, 0, fmt.Errorf("stat %s: %w", path, errNotRegular)
	}
	return inode{uint64(st.Dev), st.Ino}, st.Size, nil
}

// openLog opens a regular file without ever blocking on what only pretends to
// be one.
func openLog(path string) (*os.File, inode, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, inode{}, err
	}
	id, _, links, err := statOpen(f)
	if err == nil && links < 0 {
		err = fmt.Errorf("open %s: %w", path, errNotRegular)
	}
	if err != nil {
		f.Close()
		return nil, inode{}, err
	}
	return f, id, nil
}

// statOpen returns an open file's identity, size and number of links, which is
// 0 for a deleted file and -1 for what is not a regular one.
func statOpen(f *os.File) (id inode, size int64, links int, err error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return id, 0, 0, fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	links = int(st.Nlink)
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		links = -1
	}
	return inode{uint64(st.Dev), st.Ino}, st.Size, links, nil
}

// prefixOf reads the bytes that a fingerprint is taken of.
func prefixOf(path string, compressed bool) ([]byte, error) {
	f, _, err := openLog(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf := make([]byte, fingerprintBytes)
	if !compressed {
		n, err := f.ReadAt(buf, 0)
		return buf[:n], notEOF(err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer z.Close()
	n, err := io.ReadFull(z, buf)
	return buf[:n], notEOF(err)
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// gzipFile reads a compressed file forwards. It remembers the bytes it
// returned last, since a reader comes back for a line that a chunk ended in.
type gzipFile struct {
	file   *os.File
	zip    *gzip.Reader
	window []byte // uncompressed bytes that end at pos
	pos    int64  // uncompressed bytes taken from zip
}

func openGzip(path string) (*gzipFile, error) {
	f, _, err := openLog(path)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &gzipFile{file: f, zip: z}, nil
}

// ReadAt fills p from uncompressed offset off, which must not lie before the
// bytes returned last. At the end of the content it returns io.EOF.
func (g *gzipFile) ReadAt(p []byte, off int64) (int, error) {
	start := g.pos - int64(len(g.window))
	if off < start {
		return 0, fmt.Errorf("read %s: offset %d lies before %d", g.file.Name(), off, start)
	}
	if off > g.pos {
		n, err := io.CopyN(io.Discard, g.zip, off-g.pos)
		g.pos, g.window = g.pos+n, g.window[:0]
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, g.window[int64(len(g.window))-(g.pos-off):])
	m, err := io.ReadFull(g.zip, p[n:])
	g.pos += int64(m)
	g.window = append(g.window[:0], p[:n+m]...)
	if errors.Is(err, io.ErrUnexpectedEOF) && m > 0 {
		err = io.EOF // short read; a damaged end shows as an error without bytes
	}
	return n + m, err
}

func (g *gzipFile) Close() error {
	return errors.Join(g.zip.Close(), g.file.Close())
}
