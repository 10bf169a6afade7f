package containerlogs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
)

func TestReadsExistingAndNewLines(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 3))
	s := &sink{}
	n.start(s)
	s.expect(t, wantLines("a", 0, 3))
	n.write("0.log", lines("a", 3, 2))
	s.expect(t, wantLines("a", 0, 5))

	rl := s.logs[0].ResourceLogs().At(0)
	want := map[string]any{
		"k8s.namespace.name": "shop", "k8s.pod.name": "web-7c58db8d8d-kd9cs",
		"k8s.pod.uid":        "540f5235-a1f0-4a99-a26f-06be737bf0ce",
		"k8s.container.name": "web", "k8s.container.restart_count": int64(0),
	}
	if diff := cmp.Diff(want, rl.Resource().Attributes().AsRaw()); diff != "" {
		t.Error(diff)
	}
	lr := rl.ScopeLogs().At(0).LogRecords().At(0)
	if got := lr.Timestamp().AsTime().Format(time.RFC3339Nano); got != stamp {
		t.Errorf("timestamp %s, want %s", got, stamp)
	}
	if diff := cmp.Diff(map[string]any{"log.iostream": "stdout"}, lr.Attributes().AsRaw()); diff != "" {
		t.Error(diff)
	}
}

func TestRootThatAppearsLater(t *testing.T) {
	n := newNode(t)
	if err := os.RemoveAll(n.root); err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	n.start(s)
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n.write("0.log", lines("a", 0, 1))
	n.write("1.log", "")
	s.expect(t, wantLines("a", 0, 1))
	n.write("1.log", lines("b", 0, 1)) // the container was restarted
	s.expect(t, []string{"a-0", "b-0"})
}

func TestRotationWithSplitLine(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 2)+cri("P", "one ")+cri("P", "two "))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 2))
	n.rename("0.log", "0.log.20261123-045752")
	n.write("0.log", cri("F:x", "three")+lines("b", 0, 2))
	s.expect(t, []string{"a-0", "a-1", "one two three", "b-0", "b-1"})
	if got := p.counter("joined_pieces"); got != 3 {
		t.Errorf("joined_pieces = %d, want 3", got)
	}
}

func TestManyRotationsBetweenTwoScans(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 2))
	s := &sink{}
	n.cfg.ScanInterval = time.Second
	p := n.start(s)
	p.discovery.watch.close() // scans alone
	s.expect(t, wantLines("a", 0, 2))
	n.rename("0.log", "0.log.20261123-045752")
	n.write("0.log", lines("b", 0, 2))
	n.compress("0.log.20261123-045752")
	n.rename("0.log", "0.log.20261123-045802")
	n.write("0.log", lines("c", 0, 2))
	n.compress("0.log.20261123-045802")
	n.rename("0.log", "0.log.20261123-045812")
	n.write("0.log", lines("d", 0, 2))
	s.expect(t, []string{"a-0", "a-1", "b-0", "b-1", "c-0", "c-1", "d-0", "d-1"})
}

func TestRotationsWhileStopped(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 2)+cri("P", "half "))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 2))
	p.saved(t)
	p.kill()

	n.write("0.log", cri("F", "line")+lines("a", 2, 1))
	n.rename("0.log", "0.log.20261123-045752")
	n.write("0.log", lines("b", 0, 2))
	n.compress("0.log.20261123-045752")
	n.rename("0.log", "0.log.20261123-045802")
	n.write("0.log", lines("c", 0, 1))
	s = &sink{}
	p = n.start(s)
	s.expect(t, []string{"half line", "a-2", "b-0", "b-1", "c-0"})
	p.stop()

	// Everything was delivered: the next start sends nothing again.
	s = &sink{}
	n.start(s)
	n.write("0.log", lines("c", 1, 1))
	s.expect(t, wantLines("c", 1, 1))
}

func TestUnacknowledgedIsSentAgainAfterKill(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 3))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 3))
	p.saved(t)
	s.mu.Lock()
	s.answer = func(plog.Logs) error { return errors.New("store is down") }
	s.mu.Unlock()
	n.write("0.log", lines("a", 3, 2))
	eventually(t, "a retry", func() bool { return p.counter("retries") > 1 })
	p.kill()
	s = &sink{}
	n.start(s)
	s.expect(t, wantLines("a", 3, 2))
}

func TestFailuresKeepOrder(t *testing.T) {
	n := newNode(t)
	fails := 3
	s := &sink{}
	s.answer = func(plog.Logs) error {
		if fails--; fails >= 0 {
			return errors.New("not now")
		}
		return nil
	}
	n.write("0.log", lines("a", 0, 2))
	p := n.start(s)
	eventually(t, "first failure", func() bool { return p.counter("retries") > 0 })
	n.write("0.log", lines("a", 2, 2))
	s.expect(t, wantLines("a", 0, 4))
	if got := p.counter("retries"); got != 3 {
		t.Errorf("retries = %d, want 3", got)
	}
}

func TestPermanentRefusalGoesOn(t *testing.T) {
	n := newNode(t)
	refuse := true
	s := &sink{}
	s.answer = func(plog.Logs) error {
		if refuse {
			refuse = false
			return consumererror.NewPermanent(errors.New("too old"))
		}
		return nil
	}
	n.write("0.log", lines("a", 0, 2))
	p := n.start(s)
	eventually(t, "refusal", func() bool { return p.counter("refused_records") == 2 })
	n.write("0.log", lines("a", 2, 1))
	s.expect(t, wantLines("a", 2, 1))
}

func TestTruncatedFileIsReadAnew(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 10))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 10))
	if err := os.Truncate(n.path("0.log"), 0); err != nil {
		t.Fatal(err)
	}
	n.write("0.log", lines("b", 0, 2))
	s.expect(t, append(wantLines("a", 0, 10), wantLines("b", 0, 2)...))
	if got := p.counter("rotations", attribute.String("kind", "truncated")); got != 1 {
		t.Errorf("truncated = %d, want 1", got)
	}
}

// TestInodeReuse gives the new file the device and inode numbers that the
// stored offset names; only its content differs.
func TestInodeReuse(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 3))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 3))
	p.saved(t)
	p.kill()
	if err := os.WriteFile(n.path("0.log"), []byte(lines("b", 0, 5)), 0o644); err != nil { // same inode
		t.Fatal(err)
	}
	s = &sink{}
	n.start(s)
	s.expect(t, wantLines("b", 0, 5))
}

func TestDeletedFileIsReadToItsEnd(t *testing.T) {
	n := newNode(t)
	gate := make(chan struct{})
	s := &sink{}
	first := true
	s.answer = func(plog.Logs) error {
		if first {
			first = false
			<-gate
		}
		return nil
	}
	n.write("0.log", lines("a", 0, 2))
	p := n.start(s)
	eventually(t, "file open", func() bool { return p.counter("open_files") == 1 && len(s.logs) == 0 })
	n.write("0.log", lines("a", 2, 2))
	if err := os.RemoveAll(filepath.Join(n.root, podDir)); err != nil {
		t.Fatal(err)
	}
	close(gate)
	s.expect(t, wantLines("a", 0, 4))
	eventually(t, "file closed", func() bool { return p.counter("open_files") == 0 })
	if got := p.counter("lost"); got != 0 {
		t.Errorf("lost = %d bytes, want 0", got)
	}
}

func TestSymlinkIsFollowed(t *testing.T) {
	n := newNode(t)
	target := filepath.Join(t.TempDir(), "c-json.log")
	docker := func(text string) string {
		return `{"log":"` + text + `\n","stream":"stderr","time":"` + stamp + `"}` + "\n"
	}
	if err := os.WriteFile(target, []byte(docker("a")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, n.path("0.log")); err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	n.start(s)
	s.expect(t, []string{"a"})
	if err := os.Rename(target, target+".1"); err != nil { // Docker rotates
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte(docker("b")), 0o644); err != nil {
		t.Fatal(err)
	}
	s.expect(t, []string{"a", "b"})
}

func TestHugeLines(t *testing.T) {
	n := newNode(t)
	const size = 20 << 20
	huge := strings.Repeat("é", size/2)
	var pieces strings.Builder
	for i := 0; i < size; i += 16 << 10 {
		tag := "P"
		if i+16<<10 >= size {
			tag = "F"
		}
		pieces.WriteString(cri(tag, huge[i:min(size, i+16<<10)]))
	}
	n.write("0.log", cri("F", "before")+cri("F", huge)+cri("F", "between")+pieces.String()+cri("F", "after"))
	s := &sink{}
	p := n.start(s)
	cut := huge[:n.cfg.MaxLineBytes]
	s.expect(t, []string{"before", cut, "between", cut, "after"})
	if got := p.counter("truncated_lines"); got != 2 {
		t.Errorf("truncated_lines = %d, want 2", got)
	}
	if got, want := p.counter("truncated"), int64(2*(size-len(cut))); got != want {
		t.Errorf("truncated = %d bytes, want %d", got, want)
	}
	want := map[string]any{"log.iostream": "stdout", "log.truncated": true, "log.original_bytes": int64(size)}
	if diff := cmp.Diff(want, s.records()[1].Attributes().AsRaw()); diff != "" {
		t.Error(diff)
	}
}

func TestGarbageIsDeliveredAndCounted(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "\x00\x00\x00 garbage\n"+cri("F", "bad \xff\xfe bytes")+stamp+" stdout X odd\n"+
		stamp+" stdwhat F odd\n"+`{"log":"broken`+"\n"+cri("F", "good"))
	s := &sink{}
	p := n.start(s)
	s.expect(t, []string{"\x00\x00\x00 garbage", "bad \uFFFD bytes", stamp + " stdout X odd",
		stamp + " stdwhat F odd", `{"log":"broken`, "good"})
	for reason, want := range map[fault]int64{faultTimestamp: 1, faultTag: 1, faultStream: 1, faultJSON: 1} {
		if got := p.counter("malformed_lines", attribute.String("reason", string(reason))); got != want {
			t.Errorf("malformed_lines{reason=%q} = %d, want %d", reason, got, want)
		}
	}
	if got := p.counter("invalid_utf8_lines"); got != 1 {
		t.Errorf("invalid_utf8_lines = %d, want 1", got)
	}
	if v, ok := s.records()[0].Attributes().Get(attrMalformed); !ok || !v.Bool() {
		t.Error("malformed record is not marked")
	}
}

func TestWhatIsNoFileDoesNotStopOthers(t *testing.T) {
	n := newNode(t)
	if err := os.Mkdir(n.path("0.log"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(n.path("2.log"), 0o644); err != nil {
		t.Fatal(err)
	}
	n.write("1.log", lines("a", 0, 1))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 1))
	eventually(t, "both counted", func() bool {
		return p.counter("read_errors", attribute.String("reason", "not_regular")) >= 2
	})
	if err := os.Remove(n.path("0.log")); err != nil {
		t.Fatal(err)
	}
	n.write("0.log", lines("b", 0, 1))
	s.expect(t, []string{"a-0", "b-0"})
}

func TestExclude(t *testing.T) {
	n := newNode(t)
	n.cfg.Exclude = []string{"shop/*/sidecar"}
	if err := os.MkdirAll(filepath.Join(n.root, podDir, "sidecar"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(n.root, podDir, "sidecar", "0.log"), []byte(lines("x", 0, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	n.write("0.log", lines("a", 0, 1))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 1))
	if got := p.counter("open_files"); got != 1 {
		t.Errorf("open_files = %d, want 1", got)
	}
}

func TestStartAtEnd(t *testing.T) {
	n := newNode(t)
	n.cfg.StartAt = startAtEnd
	n.write("0.log.20261123-045752", lines("old", 0, 2))
	n.write("0.log", lines("a", 0, 2))
	s := &sink{}
	p := n.start(s)
	eventually(t, "first scan", p.discovery.scanned.Load)
	n.write("0.log", lines("a", 2, 1))
	s.expect(t, wantLines("a", 2, 1))
	p.saved(t)
	p.stop()
	// Offsets are known now: what came while stopped is read.
	n.write("1.log", lines("b", 0, 1))
	s = &sink{}
	n.start(s)
	s.expect(t, wantLines("b", 0, 1))
}

func TestCorruptOffsetsAreMovedAside(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 3))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 3))
	p.stop()
	path := filepath.Join(n.cfg.Directory, offsetsName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = &sink{}
	p = n.start(s)
	s.expect(t, wantLines("a", 0, 3)) // twice rather than never
	if got := p.counter("offset_writes", attribute.String("result", "unreadable")); got != 1 {
		t.Errorf("unreadable = %d, want 1", got)
	}
	aside, err := filepath.Glob(path + ".corrupt-*")
	if err != nil || len(aside) != 1 {
		t.Errorf("moved aside: %v (%v), want one file", aside, err)
	}
}

// TestOffsetsThatCannotBeWritten takes the folder away, as a full disk or a
// read-only one would.
func TestOffsetsThatCannotBeWritten(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 1))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 1))
	if err := os.RemoveAll(n.cfg.Directory); err != nil {
		t.Fatal(err)
	}
	n.write("0.log", lines("a", 1, 1))
	s.expect(t, wantLines("a", 0, 2))
	eventually(t, "write error counted", func() bool {
		return p.counter("offset_writes", attribute.String("result", "error")) > 0
	})
	if err := os.MkdirAll(n.cfg.Directory, 0o700); err != nil {
		t.Fatal(err)
	}
	p.stop()
	s = &sink{}
	n.start(s)
	n.write("0.log", lines("a", 2, 1))
	s.expect(t, wantLines("a", 2, 1))
}

func TestShutdownWithoutStartAndTwice(t *testing.T) {
	r, err := NewFactory().CreateLogs(t.Context(), settings(t), createDefaultConfig(), consumertest.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	n := newNode(t)
	r, err = NewFactory().CreateLogs(t.Context(), settings(t), n.cfg, consumertest.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}
