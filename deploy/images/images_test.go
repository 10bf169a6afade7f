package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// The source is built where it is and from a copy elsewhere that git does not
// know.
func TestSameSourceSamePrograms(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	copySource(t, root, elsewhere)
	var sums [2][][32]byte
	for i, dir := range []string{root, elsewhere} {
		paths, err := compile(t.Context(), dir, "amd64", "v0.0.1-test", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sums[i] = append(sums[i], sha256.Sum256(b))
			checkStatic(t, b)
			if !bytes.Contains(b, []byte("v0.0.1-test")) {
				t.Errorf("%s does not know its version", path)
			}
		}
	}
	if sums[0] == nil || !slices.Equal(sums[0], sums[1]) {
		t.Errorf("programs of %s are %x, of its copy in %s %x", root, sums[0], elsewhere, sums[1])
	}
}

func checkStatic(t *testing.T, program []byte) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("program wants a dynamic linker, which the image does not have")
		}
	}
}

// copySource copies what the go command builds the programs from.
func copySource(t *testing.T, root, to string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		switch {
		case d.IsDir() && (rel == "bin" || rel == "test" || rel != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRootCertificates(t *testing.T) {
	text, err := rootCertificates()
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			want++
		}
	}
	got := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		got++
	}
	if got != want || got < 100 {
		t.Errorf("%d certificates; want %d, more than 100", got, want)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		t.Error("crypto/x509 takes none of the certificates")
	}
}

// The base folder that the Dockerfile copies is the base layer of the archives.
func TestBaseFolder(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := baseFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := writeBase(files, dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(filepath.Join(dir, f.Path))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != f.Mode {
			t.Errorf("%s has mode %s; want %s", f.Path, info.Mode(), f.Mode)
		}
		if f.Mode.IsDir() {
			continue
		}
		if got, err := os.ReadFile(filepath.Join(dir, f.Path)); err != nil || !bytes.Equal(got, f.Content) {
			t.Errorf("%s has %d bytes, %v; want %d", f.Path, len(got), err, len(f.Content))
		}
	}
}

func TestDockerfileSaysTheSame(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := dockerStages(string(text))
	for _, p := range programs {
		config := p.config(release{version: "$VERSION", revision: "$REVISION", created: time.Unix(0, 0)})
		delete(config.Labels, v1.AnnotationCreated) // an engine has its own idea of it
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(config.Labels)) {
			labels = append(labels, name+`="`+config.Labels[name]+`"`)
		}
		var ports []string
		for port := range config.ExposedPorts {
			ports = append(ports, strings.TrimSuffix(port, "/tcp"))
		}
		slices.Sort(ports)
		want := map[string][]string{
			"USER":       {config.User},
			"WORKDIR":    {config.WorkingDir},
			"ENTRYPOINT": {`["` + config.Entrypoint[0] + `"]`},
			"EXPOSE":     ports,
			"LABEL":      labels,
		}
		if diff := cmp.Diff(want, stages[p.name]); diff != "" {
			t.Errorf("Dockerfile's %s (-images +Dockerfile):\n%s", p.name, diff)
		}
	}
}

// dockerStages gives the sorted words of some instructions of each named stage.
func dockerStages(text string) map[string]map[string][]string {
	stages := map[string]map[string][]string{}
	var stage map[string][]string
	text = strings.ReplaceAll(text, "\\\n", "")
	for line := range strings.Lines(text) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "FROM":
			_, name, _ := strings.Cut(rest, " AS ")
			stage = map[string][]string{}
			stages[name] = stage
		case "LABEL":
			for _, label := range strings.Split(rest, "org.")[1:] {
				stage[instruction] = append(stage[instruction], "org."+strings.TrimSpace(label))
			}
		case "USER", "WORKDIR", "ENTRYPOINT", "EXPOSE":
			stage[instruction] = strings.Fields(rest)
		}
		if stage != nil {
			slices.Sort(stage[instruction])
		}
	}
	return stages
}

func TestReleaseIsOfTheCommitOrAsTold(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	r, err := newRelease(t.Context(), t.TempDir(), "v1")
	if err != nil || r.revision != "" || !r.created.Equal(time.Unix(0, 0)) {
		t.Errorf("without git: %+v, %v; want no revision and 1970", r, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	if r, err = newRelease(t.Context(), t.TempDir(), "v1"); err != nil || r.created.Unix() != 1_700_000_000 {
		t.Errorf("as told: %+v, %v", r, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err = newRelease(t.Context(), t.TempDir(), "v1"); err == nil {
		t.Error("a wrong SOURCE_DATE_EPOCH is taken")
	}
}
