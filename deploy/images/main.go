// Command images builds the container images of both programs for amd64 and
// arm64 as OCI archives, without a container engine and without a base image:
//
//	go run ./deploy/images -version v1.2.3
//
// writes bin/images/crowsnest-agent.tar and bin/images/crowsnest-aggregator.tar
// and prints their names and digests. The same source gives the same digests,
// on every machine with the same Go.
//
// The Dockerfile beside this file makes the same images with an engine.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/crowsnest-o11y/crowsnest/deploy/images/oci"
)

func main() {
	version := flag.String("version", "dev", "version that the programs report")
	tag := flag.String("tag", "", "tag of the images; default: the version")
	out := flag.String("out", "bin/images", "folder for the archives")
	arches := flag.String("arch", "amd64,arm64", "architectures, as Go names them")
	base := flag.String("base", "", "only write the files that go beside the program into this folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := build{version: *version, tag: *tag, out: *out, arches: strings.Split(*arches, ","), progress: os.Stderr}
	if err := b.run(ctx, *base); err != nil {
		fmt.Fprintf(os.Stderr, "images: %v\n", err)
		stop()
		os.Exit(1)
	}
}

type build struct {
	version, tag string
	out          string
	arches       []string
	progress     io.Writer
}

func (b build) run(ctx context.Context, baseDir string) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	files, err := baseFiles(root)
	if err != nil {
		return fmt.Errorf("gather files of the images: %w", err)
	}
	if baseDir != "" {
		return writeBase(files, baseDir)
	}
	base, err := oci.NewLayer(files...)
	if err != nil {
		return err
	}
	r, err := newRelease(ctx, root, b.version)
	if err != nil {
		return err
	}
	images, err := b.images(ctx, root, base, r)
	if err != nil {
		return err
	}
	return b.write(images)
}

// images builds, per program, an image for each architecture.
func (b build) images(ctx context.Context, root string, base oci.Layer, r release) ([][]oci.Image, error) {
	dir, err := os.MkdirTemp("", "crowsnest-images-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	images := make([][]oci.Image, len(programs))
	for _, arch := range b.arches {
		fmt.Fprintf(b.progress, "images: building for linux/%s; several minutes if nothing of it is cached\n", arch)
		start := time.Now()
		paths, err := compile(ctx, root, arch, r.version, filepath.Join(dir, arch))
		if err != nil {
			return nil, err
		}
		for i, p := range programs {
			layer, err := oci.NewLayer(oci.File{Path: "/" + p.name, Mode: 0o755, Source: paths[i]})
			if err != nil {
				return nil, err
			}
			images[i] = append(images[i], oci.Image{
				Platform: v1.Platform{OS: "linux", Architecture: arch},
				Created:  r.created,
				Config:   p.config(r),
				Layers:   []oci.Layer{base, layer},
			})
		}
		fmt.Fprintf(b.progress, "images: built for linux/%s in %s\n", arch, time.Since(start).Round(time.Second))
	}
	return images, nil
}

func (b build) write(images [][]oci.Image) error {
	tag := b.tag
	if tag == "" {
		tag = b.version
	}
	for i, p := range programs {
		path := filepath.Join(b.out, p.name+".tar")
		digest, err := oci.WriteFile(path, registry+p.name+":"+tag, images[i]...)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s%s:%s@%s\n", path, registry, p.name, tag, digest)
	}
	return nil
}
