package toolchain

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// lockedBuffer is a progress writer for several builds.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// smallProgram builds in seconds.
var smallProgram = Program{Name: "addr2line", Module: "test/tools", Package: "cmd/addr2line", Flags: []string{"-ldflags", "-s -w"}}

func TestConcurrentBuildsBuildOnce(t *testing.T) {
	t.Setenv("CROWSNEST_CACHE", t.TempDir())
	progress := &lockedBuffer{}
	var builds sync.WaitGroup
	for range 3 {
		builds.Go(func() {
			path, err := smallProgram.Build(t.Context(), progress)
			if err != nil || !isFile(path) {
				t.Errorf("build: %q, %v", path, err)
			}
		})
	}
	builds.Wait()
	if n := strings.Count(progress.b.String(), "toolchain: built "); n != 1 {
		t.Errorf("built %d times:\n%s", n, progress.b.String())
	}
}

func TestFailedBuildShowsTheCompilersWords(t *testing.T) {
	t.Setenv("CROWSNEST_CACHE", t.TempDir())
	p := smallProgram
	p.Package = "cmd/nothing-of-this-name"
	path, err := p.Build(t.Context(), &lockedBuffer{})
	if err == nil || !strings.Contains(err.Error(), "nothing-of-this-name is not in std") {
		t.Fatalf("Build gives %q, %v", path, err)
	}
}

func TestOtherFlagsAreAnotherBuild(t *testing.T) {
	t.Setenv("CROWSNEST_CACHE", t.TempDir())
	other := smallProgram
	other.Flags = nil
	a, errA := smallProgram.path(t.Context())
	b, errB := other.path(t.Context())
	if err := errors.Join(errA, errB); err != nil || a == b {
		t.Fatalf("%s and %s (%v)", a, b, err)
	}
}

func TestWaitForLockEndsWithTheContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), file, func() { t.Error("waited for a free lock") })
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	// Another open file is another holder, in this program as in others.
	if _, err := Lock(ctx, file, cancel); !errors.Is(err, context.Canceled) {
		t.Fatalf("Lock gives %v, want that the context ended", err)
	}
}
