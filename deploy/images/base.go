package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/crowsnest-o11y/crowsnest/deploy/images/oci"
)

const passwd = `root:x:0:0:root:/:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
nonroot:x:65532:65532:nonroot:/:/sbin/nologin
`

const group = `root:x:0:
nobody:x:65534:
nonroot:x:65532:
`

// baseFiles is all that an image has besides its program: no shell, no
// libraries, nothing to update but the certificates.
func baseFiles(root string) ([]oci.File, error) {
	certificates, err := rootCertificates()
	if err != nil {
		return nil, err
	}
	license, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	return []oci.File{
		{Path: "/LICENSE", Mode: 0o644, Content: license},
		{Path: "/etc/passwd", Mode: 0o644, Content: []byte(passwd)},
		{Path: "/etc/group", Mode: 0o644, Content: []byte(group)},
		// Where Go's crypto/x509 looks first on Linux.
		{Path: "/etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Content: certificates},
		{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	}, nil
}

// writeBase puts the files below a folder, for the Dockerfile.
func writeBase(files []oci.File, dir string) error {
	for _, f := range files {
		path := filepath.Join(dir, f.Path)
		if f.Mode.IsDir() {
			if err := os.MkdirAll(path, f.Mode.Perm()); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Content, f.Mode.Perm()); err != nil {
			return err
		}
	}
	// Past the umask.
	for _, f := range files {
		if err := os.Chmod(filepath.Join(dir, f.Path), f.Mode); err != nil {
			return fmt.Errorf("set mode of %s: %w", f.Path, err)
		}
	}
	return nil
}
