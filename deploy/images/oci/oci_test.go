package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/crowsnest-o11y/crowsnest/deploy/images/oci"
)

const name = "registry.example:5000/team/app:v1"

// archiveOf packs two platforms with a layer in common. The program's file lies
// in a new folder each time, with the time of now.
func archiveOf(t *testing.T, order func([]oci.File)) ([]byte, digest.Digest) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, bytes.Repeat([]byte("machine code "), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	files := []oci.File{
		{Path: "/etc/passwd", Mode: 0o644, Content: []byte("root:x:0:0\n")},
		{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{Path: "/data", Mode: fs.ModeDir | 0o750, UID: 65532, GID: 65532},
	}
	order(files)
	base, err := oci.NewLayer(files...)
	if err != nil {
		t.Fatal(err)
	}
	var images []oci.Image
	for _, arch := range []string{"amd64", "arm64"} {
		layer, err := oci.NewLayer(oci.File{Path: "/usr/bin/" + arch, Mode: 0o755, Source: program})
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, oci.Image{
			Platform: v1.Platform{OS: "linux", Architecture: arch},
			Created:  time.Unix(1_700_000_000, 0),
			Config:   v1.ImageConfig{User: "65532:65532", Entrypoint: []string{"/usr/bin/" + arch}, Labels: map[string]string{"b": "2", "a": "1"}},
			Layers:   []oci.Layer{base, layer},
		})
	}
	var b bytes.Buffer
	d, err := oci.Write(&b, name, images...)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), d
}

func TestSameInputSameArchive(t *testing.T) {
	first, firstDigest := archiveOf(t, func([]oci.File) {})
	second, secondDigest := archiveOf(t, func(f []oci.File) { slices.Reverse(f) })
	if firstDigest != secondDigest || !bytes.Equal(first, second) {
		t.Errorf("archives of the same files differ: %s of %d bytes, %s of %d bytes", firstDigest, len(first), secondDigest, len(second))
	}
}

// layout is an archive read back: every content by its path.
type layout map[string][]byte

func readLayout(t *testing.T, archive []byte) layout {
	t.Helper()
	l := layout{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return l
		}
		if err != nil {
			t.Fatal(err)
		}
		if l[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// decode follows a descriptor, checks digest and size, and removes the content,
// so that what nothing points to is left over.
func (l layout) decode(t *testing.T, d v1.Descriptor, v any) []byte {
	t.Helper()
	path := "blobs/sha256/" + d.Digest.Encoded()
	content, ok := l[path]
	if !ok || digest.FromBytes(content) != d.Digest || int64(len(content)) != d.Size {
		t.Fatalf("%s: in archive: %v, %d bytes with digest %s; want %d bytes", path, ok, len(content), digest.FromBytes(content), d.Size)
	}
	if v != nil {
		if err := json.Unmarshal(content, v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return content
}

func TestArchiveIsAnImageLayout(t *testing.T) {
	archive, topDigest := archiveOf(t, func([]oci.File) {})
	l := readLayout(t, archive)
	if got := string(l["oci-layout"]); got != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout is %s", got)
	}
	var index, platforms v1.Index
	if err := json.Unmarshal(l["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].Digest != topDigest {
		t.Fatalf("index.json has %v; want one manifest, %s", index.Manifests, topDigest)
	}
	want := map[string]string{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "v1"}
	if diff := cmp.Diff(want, index.Manifests[0].Annotations); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	l.decode(t, index.Manifests[0], &platforms)
	reached := []string{"oci-layout", "index.json", "manifest.json", "blobs/sha256/" + topDigest.Encoded()}
	var arches []string
	for _, d := range platforms.Manifests {
		arches = append(arches, d.Platform.Architecture)
		reached = append(reached, checkImage(t, l, d)...)
	}
	if diff := cmp.Diff([]string{"amd64", "arm64"}, arches); diff != "" {
		t.Errorf("architectures (-want +got):\n%s", diff)
	}
	for path := range l {
		if !slices.Contains(reached, path) {
			t.Errorf("nothing points to %s", path)
		}
	}
}

// checkImage returns the paths that an image consists of.
func checkImage(t *testing.T, l layout, d v1.Descriptor) []string {
	t.Helper()
	var manifest v1.Manifest
	var config v1.Image
	l.decode(t, d, &manifest)
	l.decode(t, manifest.Config, &config)
	paths := []string{"blobs/sha256/" + d.Digest.Encoded(), "blobs/sha256/" + manifest.Config.Digest.Encoded()}
	if config.Architecture != d.Platform.Architecture || config.Created.Unix() != 1_700_000_000 || config.Config.User != "65532:65532" {
		t.Errorf("configuration of %s is %+v", d.Platform.Architecture, config)
	}
	if diff := cmp.Diff(config.Config.Labels, manifest.Annotations); diff != "" {
		t.Errorf("annotations are not the labels (-labels +annotations):\n%s", diff)
	}
	if len(manifest.Layers) != 2 || len(config.RootFS.DiffIDs) != 2 {
		t.Fatalf("%d layers, %d diff ids; want 2", len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	for i, layer := range manifest.Layers {
		paths = append(paths, "blobs/sha256/"+layer.Digest.Encoded())
		if got := digest.FromBytes(gunzip(t, l.decode(t, layer, nil))); got != config.RootFS.DiffIDs[i] {
			t.Errorf("layer %d unpacks to %s; configuration says %s", i, got, config.RootFS.DiffIDs[i])
		}
	}
	return paths
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	b, err = io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDockerFindsTheFirstPlatform(t *testing.T) {
	archive, _ := archiveOf(t, func([]oci.File) {})
	l := readLayout(t, archive)
	var images []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(l["manifest.json"], &images); err != nil {
		t.Fatal(err)
	}
	if len(images) != 1 || !slices.Equal(images[0].RepoTags, []string{name}) || len(images[0].Layers) != 2 {
		t.Fatalf("manifest.json is %s", l["manifest.json"])
	}
	var config v1.Image
	if err := json.Unmarshal(l[images[0].Config], &config); err != nil || config.Architecture != "amd64" {
		t.Errorf("configuration of %s, %v; want amd64", config.Architecture, err)
	}
	for _, path := range images[0].Layers {
		if l[path] == nil {
			t.Errorf("layer %s is not in the archive", path)
		}
	}
}

func TestLayerHasFoldersModesAndOwners(t *testing.T) {
	archive, _ := archiveOf(t, func([]oci.File) {})
	l := readLayout(t, archive)
	type entry struct {
		Type     byte
		Mode     int64
		UID, GID int
	}
	got := map[string]entry{}
	var order []string
	for path, content := range l {
		if !strings.HasPrefix(path, "blobs/") || content[0] != 0x1f { // gzip's magic
			continue
		}
		for r := tar.NewReader(bytes.NewReader(gunzip(t, content))); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.ModTime.Unix() != 0 {
				t.Errorf("%s is of %s", h.Name, h.ModTime)
			}
			got[h.Name] = entry{h.Typeflag, h.Mode, h.Uid, h.Gid}
			order = append(order, h.Name)
		}
	}
	want := map[string]entry{
		"etc/":          {tar.TypeDir, 0o755, 0, 0},
		"etc/passwd":    {tar.TypeReg, 0o644, 0, 0},
		"tmp/":          {tar.TypeDir, 0o1777, 0, 0},
		"data/":         {tar.TypeDir, 0o750, 65532, 65532},
		"usr/":          {tar.TypeDir, 0o755, 0, 0},
		"usr/bin/":      {tar.TypeDir, 0o755, 0, 0},
		"usr/bin/amd64": {tar.TypeReg, 0o755, 0, 0},
		"usr/bin/arm64": {tar.TypeReg, 0o755, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if slices.Index(order, "etc/") > slices.Index(order, "etc/passwd") {
		t.Errorf("a file comes before its folder: %v", order)
	}
}

func TestWrongInputIsRefused(t *testing.T) {
	for _, files := range [][]oci.File{
		{{Path: "etc/passwd"}},
		{{Path: "/etc/../passwd"}},
		{{Path: "/"}},
		{{Path: "/a"}, {Path: "/a"}},
		{{Path: "/a", Source: filepath.Join(t.TempDir(), "missing")}},
	} {
		if _, err := oci.NewLayer(files...); err == nil {
			t.Errorf("layer of %+v: no error", files)
		}
	}
	for _, bad := range []string{"app", "registry.example:5000/app", "app:"} {
		if _, err := oci.Write(io.Discard, bad, oci.Image{}); err == nil || !strings.Contains(err.Error(), "has no tag") {
			t.Errorf("image named %q: error %v; want one that misses the tag", bad, err)
		}
	}
	if _, err := oci.Write(io.Discard, name); err == nil {
		t.Error("archive without images: no error")
	}
}

func TestFileAppearsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "images", "a.tar")
	if _, err := oci.WriteFile(path, "no-tag", oci.Image{}); err == nil {
		t.Fatal("no error for an image without tag")
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("a failed write leaves %v", left)
	}
	if _, err := oci.WriteFile(path, name, oci.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}}); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 || left[0].Name() != "a.tar" {
		t.Errorf("folder has %v; want a.tar", left)
	}
}
