package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/crowsnest-o11y/crowsnest/deploy/images/oci"
	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// Image is one of a static program: what a test runs in the cluster.
type Image struct {
	Name string            // with tag
	Path string            // of the program in the image
	File string            // of the program on this machine
	Args []string          // default arguments
	User string            // "uid:gid", "" for root
	More map[string]string // further files: path in the image to content
}

// Write writes an OCI archive for ImportImages.
func (i Image) Write(archive string) error {
	files := []oci.File{{Path: i.Path, Mode: 0o755, Source: i.File}}
	for path, content := range i.More {
		files = append(files, oci.File{Path: path, Mode: 0o644, Content: []byte(content)})
	}
	layer, err := oci.NewLayer(files...)
	if err != nil {
		return fmt.Errorf("pack image %s: %w", i.Name, err)
	}
	_, err = oci.WriteFile(archive, i.Name, oci.Image{
		Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   v1.ImageConfig{Entrypoint: []string{i.Path}, Cmd: i.Args, User: i.User},
		Layers:   []oci.Layer{layer},
	})
	if err != nil {
		return fmt.Errorf("write image %s: %w", i.Name, err)
	}
	return nil
}

// programImage is the archive of an image with one of our programs. It lies in
// the cache beside the program, by the same name.
func programImage(ctx context.Context, p toolchain.Program, name string, log io.Writer) (string, error) {
	file, err := p.Build(ctx, log)
	if err != nil {
		return "", err
	}
	archive := file + ".image.tar"
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	return archive, Image{Name: name, Path: "/" + filepath.Base(p.Name), File: file}.Write(archive)
}

// ctr is containerd's own client, for one node.
func (m *native) ctr(ctx context.Context, n node, args ...string) (*exec.Cmd, error) {
	pid, err := n.init()
	if err != nil {
		return nil, err
	}
	// By way of /proc, the node's own files; and short, as a socket's path must be.
	socket := fmt.Sprintf("/proc/%d/root/run/containerd/containerd.sock", pid)
	return exec.CommandContext(ctx, m.path("bin", "ctr"), append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...), nil
}

func (m *native) ImportImages(ctx context.Context, archives ...string) error {
	for _, n := range m.nodes {
		for _, archive := range archives {
			cmd, err := m.ctr(ctx, n, "images", "import", archive)
			if err != nil {
				return err
			}
			if err := run(cmd); err != nil {
				return fmt.Errorf("import %s into %s: %w", archive, n.name, err)
			}
		}
	}
	return nil
}
