package oci

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// File of a layer: a folder if Mode says so, else a regular file with the
// content of the machine's file Source, or with Content if there is no Source.
type File struct {
	Path     string // absolute
	Mode     fs.FileMode
	UID, GID int
	Content  []byte
	Source   string
}

// Layer is a compressed file tree.
type Layer struct {
	blob   blob
	diffID digest.Digest // of the tree before compression
}

// NewLayer packs files. Folders above them that are not listed are root's.
func NewLayer(files ...File) (Layer, error) {
	files, err := withParents(files)
	if err != nil {
		return Layer{}, err
	}
	var compressed bytes.Buffer
	zip := gzip.NewWriter(&compressed) // its header has no time and no name
	diff := digest.Canonical.Digester()
	archive := tar.NewWriter(io.MultiWriter(zip, diff.Hash()))
	for _, f := range files {
		if err := f.writeTo(archive); err != nil {
			return Layer{}, fmt.Errorf("pack %s: %w", f.Path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return Layer{}, fmt.Errorf("end tar of layer: %w", err)
	}
	if err := zip.Close(); err != nil {
		return Layer{}, fmt.Errorf("end gzip of layer: %w", err)
	}
	return Layer{newBlob(v1.MediaTypeImageLayerGzip, compressed.Bytes()), diff.Digest()}, nil
}

// withParents sorts, so that a folder comes before what is in it.
func withParents(files []File) ([]File, error) {
	listed := map[string]bool{}
	for _, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return nil, fmt.Errorf("layer has a file %q: want a clean absolute path", f.Path)
		}
		if listed[f.Path] {
			return nil, fmt.Errorf("layer has two files %q", f.Path)
		}
		listed[f.Path] = true
	}
	all := slices.Clone(files)
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "/" && !listed[dir]; dir = path.Dir(dir) {
			listed[dir] = true
			all = append(all, File{Path: dir, Mode: fs.ModeDir | 0o755})
		}
	}
	slices.SortFunc(all, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

func (f File) writeTo(w *tar.Writer) error {
	header := tar.Header{
		Format:  tar.FormatUSTAR,
		Name:    f.Path[1:],
		Mode:    mode(f.Mode),
		Uid:     f.UID,
		Gid:     f.GID,
		ModTime: time.Unix(0, 0),
	}
	if f.Mode.IsDir() {
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
		return w.WriteHeader(&header)
	}
	header.Typeflag = tar.TypeReg
	if f.Source == "" {
		header.Size = int64(len(f.Content))
		return writeEntry(w, &header, bytes.NewReader(f.Content))
	}
	source, err := os.Open(f.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	return writeEntry(w, &header, source)
}

func writeEntry(w *tar.Writer, header *tar.Header, content io.Reader) error {
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(w, content)
	return err
}

// mode is what the kernel calls it: fs.FileMode has the sticky bit elsewhere.
func mode(m fs.FileMode) int64 {
	bits := int64(m.Perm())
	if m&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
