package nodesim

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, c Config) *Node {
	t.Helper()
	c.Dir = t.TempDir()
	n, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// eventually asks until f is true; the deadline is there for what never comes.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	every(ctx, 5*time.Millisecond, func() bool { return !f() })
	if ctx.Err() != nil {
		t.Fatalf("%s: not within a minute", what)
	}
}

// record is the beginning of a CRI line: time, stdio, tag.
var record = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d*[1-9])?Z) (stdout|stderr) ([PF]) `)

// readLog reads a container's files in order and returns the whole lines, after
// checking each record against the shape of a real one.
func readLog(t *testing.T, files []string) [][]byte {
	t.Helper()
	var lines [][]byte
	var joined []byte
	var last time.Time
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var in io.Reader = f
		if strings.HasSuffix(path, compressSuffix) {
			if in, err = gzip.NewReader(f); err != nil {
				t.Fatal(err)
			}
		}
		scan := bufio.NewScanner(in)
		for scan.Scan() {
			m := record.FindSubmatch(scan.Bytes()[:min(64, len(scan.Bytes()))])
			if m == nil {
				t.Fatalf("%s: not a CRI record: %.100q", path, scan.Bytes())
			}
			at, err := time.Parse(time.RFC3339Nano, string(m[1]))
			if err != nil || !at.After(last) {
				t.Fatalf("%s: time %s after %s (%v)", path, m[1], last, err)
			}
			last = at
			text := scan.Bytes()[len(m[0]):]
			joined = append(joined, text...)
			if m[3][0] == 'P' {
				if len(text) != pieceBytes {
					t.Fatalf("%s: piece of %d bytes", path, len(text))
				}
				continue
			}
			lines = append(lines, joined)
			joined = nil
		}
		if err := scan.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

// The check that readLog makes of simulated files holds for a real one.
func TestRealLogHasTheShape(t *testing.T) {
	if n := len(readLog(t, []string{"testdata/pod-logs/json.log"})); n < 400 {
		t.Fatalf("read %d lines of the capture", n)
	}
}

// oldestFirst orders a container's files as they were written.
func oldestFirst(t *testing.T, dir string, restart string) []string {
	t.Helper()
	rotated, err := filepath.Glob(filepath.Join(dir, restart+".log.*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rotated)
	return append(rotated, filepath.Join(dir, restart+".log"))
}

func testLog(t *testing.T, format lineFormat) *logFile {
	t.Helper()
	l := &logFile{dir: filepath.Join(t.TempDir(), "web"), stream: "s1", format: format, longEvery: 50}
	if err := l.create(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.end() })
	return l
}

func writeLines(t *testing.T, l *logFile, n int) {
	t.Helper()
	for range n {
		if err := l.write(time.Now(), "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryFormatIsReadBack(t *testing.T) {
	for _, format := range []lineFormat{jsonLines, textLines, stackTraces} {
		l := testLog(t, format)
		writeLines(t, l, 120)
		seen := NewSeen()
		for _, line := range readLog(t, oldestFirst(t, l.dir, "0")) {
			seen.Line(line)
		}
		report := seen.Compare([]StreamStatus{l.status()})
		if !report.Complete() || report.Written != 120 || report.Repeated != 0 {
			t.Errorf("format %d: %+v", format, report)
		}
	}
}

// rotateAt rotates as if at another time: names are by the second.
func rotateAt(t *testing.T, l *logFile, at time.Time, maxFiles int) {
	t.Helper()
	if err := l.prune(maxFiles); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.rotateLatestLocked(at); err != nil {
		t.Fatal(err)
	}
}

func TestRotationFollowsTheKubelet(t *testing.T) {
	l := testLog(t, textLines)
	base := time.Date(2026, 11, 23, 4, 57, 12, 0, time.Local)
	for i := range 7 {
		writeLines(t, l, 10)
		rotateAt(t, l, base.Add(time.Duration(i)*20*time.Second), 5)
	}
	writeLines(t, l, 3)
	var names []string
	for _, path := range oldestFirst(t, l.dir, "0") {
		names = append(names, filepath.Base(path))
	}
	// As in the capture: five files, the newest rotated one not compressed.
	want := []string{"0.log.20261123-045832.gz", "0.log.20261123-045852.gz", "0.log.20261123-045912", "0.log"}
	want = append([]string{"0.log.20261123-045812.gz"}, want...)
	if !slices.Equal(names, want) {
		t.Fatalf("files %v, want %v", names, want)
	}
	status := l.status()
	if !slices.Equal(status.Deleted, []Range{{1, 30}}) || status.Written != 73 {
		t.Fatalf("status %+v, want lines 1 to 30 of 73 deleted", status)
	}
	seen := NewSeen()
	for _, line := range readLog(t, oldestFirst(t, l.dir, "0")) {
		seen.Line(line)
	}
	if r := seen.Compare([]StreamStatus{status}); r.Missing != 0 || r.Deleted != 30 || r.Found != 43 || r.Damaged != 0 {
		t.Fatalf("report %+v", r)
	}
}

func TestInterruptedCompressionIsCleanedUp(t *testing.T) {
	l := testLog(t, textLines)
	for _, name := range []string{"0.log.20261123-045712.gz.tmp", "0.log.20261123-045712", "0.log.20261123-045712.gz"} {
		if err := os.WriteFile(filepath.Join(l.dir, name), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := l.rotated()
	if err != nil {
		t.Fatal(err)
	}
	if len(logs) != 1 || filepath.Base(logs[0]) != "0.log.20261123-045712.gz" {
		t.Fatalf("in use: %v", logs)
	}
}

func TestRotationCutsALongLine(t *testing.T) {
	l := testLog(t, jsonLines)
	writeLines(t, l, 49)
	l.mu.Lock()
	l.due = true
	l.mu.Unlock()
	writeLines(t, l, 2)
	if s := l.status(); s.Splits != 1 {
		t.Fatalf("%d lines cut, want 1", s.Splits)
	}
	files := oldestFirst(t, l.dir, "0")
	if len(files) != 2 {
		t.Fatalf("files %v", files)
	}
	first, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if end := first[bytesLastLine(first):]; !strings.Contains(string(end[:60]), " P ") {
		t.Fatalf("the rotated file ends with %.60q", end)
	}
	seen := NewSeen()
	for _, line := range readLog(t, files) {
		seen.Line(line)
	}
	if r := seen.Compare([]StreamStatus{l.status()}); !r.Complete() {
		t.Fatalf("report %+v", r)
	}
}

func bytesLastLine(b []byte) int {
	return strings.LastIndexByte(strings.TrimSuffix(string(b), "\n"), '\n') + 1
}

func TestRestartKeepsOneDeadContainer(t *testing.T) {
	l := testLog(t, stackTraces)
	for range 3 {
		writeLines(t, l, 5)
		if err := l.restart("id"); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(l.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 || filepath.Base(left[0]) != "2.log" || filepath.Base(left[1]) != "3.log" {
		t.Fatalf("files %v, want 2.log and 3.log", left)
	}
	if s := l.status(); !slices.Equal(s.Deleted, []Range{{1, 10}}) {
		t.Fatalf("deleted %v, want 1 to 10", s.Deleted)
	}
}

// A node under load: whatever was written is in the files that are left, or
// known to be deleted.
func TestNodeAccountsForEveryLine(t *testing.T) {
	n := start(t, Config{Pods: 12, LinesPerSecond: 2000, LogMaxBytes: 20 << 10, LogCheckEvery: time.Second,
		CrashEvery: 700 * time.Millisecond, LongLineEvery: 20, Seed: 1})
	eventually(t, "rotations and deletions", func() bool {
		var deleted, splits int
		for _, s := range n.Streams() {
			deleted += len(s.Deleted)
			splits += s.Splits
		}
		return deleted > 5 && splits > 2 || n.Err() != nil
	})
	n.StopWriting()
	if err := n.Err(); err != nil {
		t.Fatal(err)
	}
	seen := NewSeen()
	n.eachContainer(func(c *Container) error {
		c.log.mu.Lock()
		var files []string
		for _, h := range c.log.files {
			files = append(files, h.path)
		}
		c.log.mu.Unlock()
		for _, line := range readLines(t, files) {
			seen.Line(line)
		}
		return nil
	})
	report := seen.Compare(n.Streams())
	if report.Missing != 0 || report.Deleted == 0 || report.Repeated != 0 {
		t.Fatalf("report %+v", report)
	}
	if report.Found+report.Deleted != report.Written {
		t.Fatalf("found %d + deleted %d, written %d", report.Found, report.Deleted, report.Written)
	}
}

// readLines is readLog where the oldest file may be gone, and with it the
// beginning of a line that a rotation cut.
func readLines(t *testing.T, files []string) [][]byte {
	lines := readLog(t, files)
	if len(lines) > 0 {
		if _, _, err := ParseLine(lines[0]); err != nil {
			return lines[1:]
		}
	}
	return lines
}
