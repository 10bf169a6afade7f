// Command images makes the images that the tests on a cluster need besides the
// product's own, as OCI archives for this machine's architecture:
//
//   - bin/images/stores/*.tar: the real Prometheus, Loki and Jaeger of
//     test/stores under the official names that the chart's quickstart asks for,
//     with the same entrypoints, users and data folders, so that the chart runs
//     unchanged on a cluster without internet;
//   - bin/images/workload.tar: test/workload.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/crowsnest-o11y/crowsnest/deploy/images/oci"
)

func main() {
	out := flag.String("out", "bin/images", "folder for the archives")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out); err != nil {
		fmt.Fprintf(os.Stderr, "images: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	if err := writeWorkload(ctx, root, filepath.Join(out, "workload.tar")); err != nil {
		return err
	}
	names, err := chartImages(filepath.Join(root, "deploy/helm/crowsnest/values.yaml"))
	if err != nil {
		return err
	}
	for _, s := range storeImages {
		if err := s.write(ctx, names[s.store], filepath.Join(out, "stores", s.store+".tar")); err != nil {
			return err
		}
	}
	return nil
}

// workloadImage is never pulled: nobody serves it.
const workloadImage = "crowsnest.test/workload:dev"

func writeWorkload(ctx context.Context, root, path string) error {
	dir, err := os.MkdirTemp("", "crowsnest-workload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "workload")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", program, "./test/workload")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build workload: %w\n%s", err, out)
	}
	return write(path, workloadImage, v1.ImageConfig{User: "65532:65532", Entrypoint: []string{"/workload"}},
		oci.File{Path: "/workload", Mode: 0o755, Source: program})
}

// write makes an archive of one layer.
func write(path, name string, config v1.ImageConfig, files ...oci.File) error {
	layer, err := oci.NewLayer(files...)
	if err != nil {
		return err
	}
	digest, err := oci.WriteFile(path, name, oci.Image{
		Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Created:  time.Unix(0, 0),
		Config:   config,
		Layers:   []oci.Layer{layer},
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s %s@%s\n", path, name, digest)
	return nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/crowsnest-o11y/crowsnest").Output()
	if err != nil {
		return "", fmt.Errorf("find the project's source (run this inside of it): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
