package spool

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// After every single operation the directory is taken as a crash would leave it.
func TestCrashAnywhere(t *testing.T) {
	path := t.TempDir()
	q, _ := openQueue(t, path, testBytes)
	appended, delivered := 0, 0
	for step := range 300 {
		if step%3 == 2 || step > 200 {
			delivered += len(take(t, q, 1))
		} else {
			put(t, q, appended, appended+1)
			appended++
		}
		if step%7 != 0 {
			continue
		}
		twin := filepath.Join(t.TempDir(), "twin")
		if err := os.CopyFS(twin, os.DirFS(path)); err != nil {
			t.Fatal(err)
		}
		recovered, _ := openQueue(t, twin, testBytes)
		wantEntries(t, take(t, recovered, 1000), numbers(delivered, appended))
		crash(t, recovered)
	}
	closeQueue(t, q)
}

// A file cut at every byte of its last entry keeps the entries before.
func TestTornTail(t *testing.T) {
	source := t.TempDir()
	q, _ := openQueue(t, source, testBytes)
	put(t, q, 0, 3)
	closeQueue(t, q)
	file := segmentsIn(t, source)[0]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	frame := len(whole) / 3
	path := filepath.Join(t.TempDir(), "torn")
	for cut := 2 * frame; cut < len(whole); cut++ {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, filepath.Base(file)), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		q, c := openQueue(t, path, testBytes)
		c.want("crowsnest_spool_corrupt_bytes", cut-2*frame)
		want := []int{0, 1}
		if cut%50 == 0 { // not always: it makes a file, which is slow
			put(t, q, 3, 4)
			want = []int{0, 1, 3}
		}
		wantEntries(t, take(t, q, 9), want)
		crash(t, q)
	}
}

// Every flipped bit is found; it costs its entry, or the rest of its segment, and
// nothing else. What is lost is counted.
func TestBitFlips(t *testing.T) {
	source := t.TempDir()
	q, _ := openQueue(t, source, testBytes)
	put(t, q, 0, 4)
	closeQueue(t, q)
	q, _ = openQueue(t, source, testBytes) // a second segment
	put(t, q, 4, 6)
	closeQueue(t, q)
	file := segmentsIn(t, source)[0]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	frame := len(whole) / 4
	for at := frame; at < 2*frame; at += 1 + at%13*3 {
		for _, afterOpen := range []bool{false, true} {
			path := filepath.Join(t.TempDir(), "flipped")
			if err := os.CopyFS(path, os.DirFS(source)); err != nil {
				t.Fatal(err)
			}
			damage := func() {
				flipped := slices.Clone(whole)
				flipped[at] ^= 1 << (at % 8)
				if err := os.WriteFile(filepath.Join(path, filepath.Base(file)), flipped, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if !afterOpen {
				damage()
			}
			q, c := openQueue(t, path, testBytes)
			if afterOpen {
				damage()
			}
			want, lost, lostBytes := []int{0, 2, 3, 4, 5}, items([]int{1}), 0
			if at < frame+headerBytes {
				want, lost = []int{0, 4, 5}, items([]int{1, 2, 3})
				if !afterOpen {
					lost, lostBytes = 0, 3*frame
				}
			}
			wantEntries(t, take(t, q, 9), want)
			c.want("crowsnest_dropped_items", lost, "reason", "corrupt")
			c.want("crowsnest_spool_corrupt_bytes", lostBytes)
			c.want("crowsnest_queued_items", 0)
			closeQueue(t, q)
		}
	}
}

func TestDamagedCursorSendsAgain(t *testing.T) {
	path := t.TempDir()
	q, _ := openQueue(t, path, testBytes)
	put(t, q, 0, 10)
	wantEntries(t, take(t, q, 4), numbers(0, 4))
	closeQueue(t, q)
	for _, damaged := range [][]byte{{}, []byte("short"), bytes.Repeat([]byte{0xff}, cursorBytes), make([]byte, 4096)} {
		if err := os.WriteFile(filepath.Join(path, cursorName), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		q, _ := openQueue(t, path, testBytes)
		r, err := q.next(testBytes)
		if err != nil || r.frames != 10 {
			t.Fatalf("got %d entries, %v; want all 10 again", r.frames, err)
		}
		crash(t, q)
	}
}

// A segment that disappears under a running spool.
func TestRemovedSegment(t *testing.T) {
	path := t.TempDir()
	q, c := openQueue(t, path, testBytes)
	put(t, q, 0, 300)
	if err := os.Remove(segmentsIn(t, path)[0]); err != nil {
		t.Fatal(err)
	}
	got := take(t, q, 1000)
	if len(got) == 0 || got[len(got)-1] != 299 {
		t.Fatalf("got entries %v", got)
	}
	c.want("crowsnest_dropped_items", items(numbers(0, got[0])), "reason", "corrupt")
	c.want("crowsnest_queued_items", 0)
	closeQueue(t, q)
}

// alone runs the calling test in a process of its own and tells whether this is
// that process. A limit on the size of files holds for the whole process, and
// `go test` has its parent write files of its own at any moment.
func alone(t *testing.T) bool {
	t.Helper()
	const aloneEnv = "CROWSNEST_SPOOL_TEST_ALONE"
	if os.Getenv(aloneEnv) != "" {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), aloneEnv+"=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// limitFiles makes writes beyond a size fail, as a full disk does, in the middle
// of a frame.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	ossignal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() { ossignal.Reset(syscall.SIGXFSZ) })
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
	}
}

func TestFailedWrites(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, limit := range []uint64{0, 10, 10_000, 10_311, 10_330, 50_000} {
		path := t.TempDir()
		q, c := openQueue(t, path, testBytes)
		lift := limitFiles(t, limit)
		stored := 0
		for range 200 {
			if err := q.append(entry(stored), stored%3+1); err == nil {
				stored++
			} else if !strings.Contains(err.Error(), path) || !errors.Is(err, syscall.EFBIG) {
				t.Errorf("error does not name file and cause: %v", err)
			}
		}
		lift()
		onDisk := int64(0)
		for _, file := range segmentsIn(t, path) {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			onDisk += info.Size()
		}
		if counted := q.stat().bytes; onDisk != counted {
			t.Errorf("limit %d: a failed write left %d bytes on a full disk", limit, onDisk-counted)
		}
		if want := int(limit) / (headerBytes + len(entry(0))); stored != want {
			t.Errorf("limit %d: stored %d entries, want %d", limit, stored, want)
		}
		c.want("crowsnest_queued_items", items(numbers(0, stored)))
		put(t, q, stored, stored+2) // as soon as there is room
		crash(t, q)
		q, _ = openQueue(t, path, testBytes)
		wantEntries(t, take(t, q, 1000), numbers(0, stored+2))
		closeQueue(t, q)
	}
}

// A segment that is delivered but kept for the next entries gives its room to
// them when the disk is full.
func TestFullDiskGetsBackWhatIsDelivered(t *testing.T) {
	if !alone(t) {
		return
	}
	path := t.TempDir()
	q, c := openQueue(t, path, testBytes)
	put(t, q, 0, 2)
	wantEntries(t, take(t, q, 1000), numbers(0, 2))
	size := uint64(q.stat().bytes)
	if size == 0 {
		t.Fatal("the delivered segment is gone already: there is nothing to get back")
	}
	lift := limitFiles(t, size)
	defer lift()
	for i := 2; i < 6; i += 2 {
		put(t, q, i, i+2) // fails unless the delivered ones go
		wantEntries(t, take(t, q, 1000), numbers(i, i+2))
	}
	c.want("crowsnest_queued_items", 0)
	closeQueue(t, q)
}
