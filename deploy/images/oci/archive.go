package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// containerdName is the annotation by which containerd names what it imports.
const containerdName = "io.containerd.image.name"

// dockerManifest is an element of Docker's manifest.json, which its older image
// store wants beside the layout.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// archive gathers what goes into the tar.
type archive struct {
	blobs  map[digest.Digest]blob
	docker dockerManifest
}

// Write writes images of several platforms under one name (with tag, such as
// "ghcr.io/o/n:v1") and returns the digest by which a registry would know it.
func Write(w io.Writer, name string, images ...Image) (digest.Digest, error) {
	tag := tagOf(name)
	if tag == "" {
		return "", fmt.Errorf("image name %q has no tag: want REPOSITORY:TAG", name)
	}
	if len(images) == 0 {
		return "", fmt.Errorf("image %s has no platforms", name)
	}
	a := archive{blobs: map[digest.Digest]blob{}}
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	for _, image := range images {
		manifest, err := a.add(image)
		if err != nil {
			return "", err
		}
		index.Manifests = append(index.Manifests, manifest.Descriptor)
	}
	top, err := newJSONBlob(v1.MediaTypeImageIndex, index)
	if err != nil {
		return "", err
	}
	a.blobs[top.Digest] = top
	a.docker.RepoTags = []string{name}
	top.Annotations = map[string]string{containerdName: name, v1.AnnotationRefName: tag}
	if err := a.writeTo(w, top.Descriptor); err != nil {
		return "", fmt.Errorf("write image archive: %w", err)
	}
	return top.Digest, nil
}

// tagOf does not take a registry's port for a tag.
func tagOf(name string) string {
	_, tag, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
	return tag
}

// WriteFile is Write to a file, which appears whole or not at all.
func WriteFile(path, name string, images ...Image) (digest.Digest, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("make folder of image archives: %w", err)
	}
	f, err := os.Create(path + ".partial")
	if err != nil {
		return "", fmt.Errorf("create image archive: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	d, err := Write(f, name, images...)
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("close image archive: %w", err)
	}
	return d, os.Rename(f.Name(), path)
}

// add takes an image's blobs; the first image is the one for manifest.json.
func (a *archive) add(image Image) (blob, error) {
	config, err := image.config()
	if err != nil {
		return blob{}, err
	}
	manifest, err := image.manifest(config)
	if err != nil {
		return blob{}, err
	}
	a.blobs[config.Digest], a.blobs[manifest.Digest] = config, manifest
	for _, l := range image.Layers {
		a.blobs[l.blob.Digest] = l.blob
	}
	if a.docker.Config == "" {
		a.docker.Config = blobPath(config.Digest)
		for _, l := range image.Layers {
			a.docker.Layers = append(a.docker.Layers, blobPath(l.blob.Digest))
		}
	}
	return manifest, nil
}

func (a *archive) writeTo(w io.Writer, top v1.Descriptor) error {
	index := v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: []v1.Descriptor{top},
	}
	t := tar.NewWriter(w)
	for _, part := range []struct {
		name    string
		content any
	}{
		// First, since a reader of a stream learns from it what follows.
		{v1.ImageLayoutFile, v1.ImageLayout{Version: v1.ImageLayoutVersion}},
		{v1.ImageIndexFile, index},
		{"manifest.json", []dockerManifest{a.docker}},
	} {
		content, err := json.Marshal(part.content)
		if err != nil {
			return fmt.Errorf("encode %s: %w", part.name, err)
		}
		if err := writePart(t, part.name, content); err != nil {
			return err
		}
	}
	for _, d := range slices.Sorted(maps.Keys(a.blobs)) {
		if err := writePart(t, blobPath(d), a.blobs[d].content); err != nil {
			return err
		}
	}
	return t.Close()
}

func writePart(t *tar.Writer, name string, content []byte) error {
	return writeEntry(t, &tar.Header{
		Format:   tar.FormatUSTAR,
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     0o644,
		Size:     int64(len(content)),
		ModTime:  time.Unix(0, 0),
	}, bytes.NewReader(content))
}

func blobPath(d digest.Digest) string {
	return path.Join(v1.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}
