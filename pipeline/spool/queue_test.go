package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/ledger"
	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// counts reads the counters of a book.
type counts struct {
	t   testing.TB
	tel *componenttest.Telemetry
}

func newCounts(t testing.TB) (*book, counts) {
	t.Helper()
	tel := componenttest.NewTelemetry()
	b, err := newBook(tel.NewTelemetrySettings().MeterProvider, zap.NewNop(), ledger.Traces, "spool")
	if err != nil {
		t.Fatal(err)
	}
	return b, counts{t, tel}
}

func (c counts) get(name string, attrs ...string) int {
	c.t.Helper()
	return int(counters.Sum(c.t, c.tel, name, attrs...))
}

func (c counts) want(name string, n int, attrs ...string) {
	c.t.Helper()
	if got := c.get(name, attrs...); got != n {
		c.t.Errorf("%s%v is %d, want %d", name, attrs, got, n)
	}
}

// testBytes makes segments of 128 KiB.
const testBytes = 1 << 20

// openQueue opens a directory as a new process would, with counters at zero.
func openQueue(t testing.TB, path string, maxBytes int64) (*queue, counts) {
	t.Helper()
	b, c := newCounts(t)
	dir, err := openDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	found, err := dir.recover(b)
	if err != nil {
		t.Fatal(err)
	}
	return newQueue(dir, found, maxBytes, b), c
}

// entry is the payload of the i-th entry: its number and some kilobyte.
func entry(i int) []byte {
	return append(fmt.Appendf(nil, "%06d ", i), bytes.Repeat([]byte{byte(i)}, 1000)...)
}

func number(t testing.TB, payload []byte) int {
	t.Helper()
	var i int
	if _, err := fmt.Sscanf(string(payload[:min(6, len(payload))]), "%d", &i); err != nil {
		t.Fatalf("payload %.20q has no number: %v", payload, err)
	}
	if !bytes.Equal(payload, entry(i)) {
		t.Fatalf("entry %d is changed", i)
	}
	return i
}

// put appends the entries from..to-1, entry i with i%3+1 items.
func put(t testing.TB, q *queue, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := q.append(entry(i), i%3+1); err != nil {
			t.Fatal(err)
		}
	}
}

// take acknowledges up to n entries one by one and returns their numbers.
func take(t testing.TB, q *queue, n int) []int {
	t.Helper()
	var got []int
	for len(got) < n {
		r, err := q.next(0)
		if err != nil {
			t.Fatal(err)
		}
		if r.frames == 0 {
			break
		}
		if len(r.payload) > 0 {
			i := number(t, r.payload)
			if r.items != i%3+1 {
				t.Fatalf("entry %d has %d items, want %d", i, r.items, i%3+1)
			}
			got = append(got, i)
		}
		q.ack(r)
	}
	return got
}

func numbers(from, to int) []int {
	var all []int
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func items(entries []int) int {
	n := 0
	for _, i := range entries {
		n += i%3 + 1
	}
	return n
}

func wantEntries(t testing.TB, got, want []int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got entries %v, want %v", got, want)
	}
}

func closeQueue(t testing.TB, q *queue) {
	t.Helper()
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
}

// crash ends a queue as kill -9 does: nothing is written any more, and the lock
// goes with the process.
func crash(t testing.TB, q *queue) {
	t.Helper()
	if err := q.media.close(); err != nil {
		t.Fatal(err)
	}
}

func segmentsIn(t testing.TB, path string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(path, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOrderOverSegments(t *testing.T) {
	b, c := newCounts(t)
	for name, q := range map[string]*queue{
		"memory": newQueue(newMemory(), contents{}, testBytes, b),
		"disk":   func() *queue { q, _ := openQueue(t, t.TempDir(), testBytes); return q }(),
	} {
		t.Run(name, func(t *testing.T) {
			put(t, q, 0, 500)
			wantEntries(t, take(t, q, 300), numbers(0, 300))
			put(t, q, 500, 600)
			wantEntries(t, take(t, q, 1000), numbers(300, 600))
			if s := q.stat(); s.items != 0 || s.segments > 1 {
				t.Errorf("empty queue has %+v", s)
			}
			closeQueue(t, q)
		})
	}
	c.want("crowsnest_queued_items", 0)
}

func TestJoinsSmallEntries(t *testing.T) {
	q, _ := openQueue(t, t.TempDir(), 64<<20)
	put(t, q, 0, 50)
	r, err := q.next(20 * len(entry(0)))
	if err != nil {
		t.Fatal(err)
	}
	if r.frames != 19 && r.frames != 20 {
		t.Errorf("joined %d entries, want as many as fit", r.frames)
	}
	var want []byte
	for i := range r.frames {
		want = append(want, entry(i)...)
	}
	if !bytes.Equal(r.payload, want) || r.items != items(numbers(0, r.frames)) {
		t.Error("joined entries are not the first ones")
	}
	q.ack(r)
	wantEntries(t, take(t, q, 1), []int{r.frames})
	closeQueue(t, q)
}

func TestEntryLargerThanASegment(t *testing.T) {
	q, _ := openQueue(t, t.TempDir(), testBytes)
	big := bytes.Repeat([]byte("b"), 200<<10)
	put(t, q, 0, 1)
	if err := q.append(big, 7); err != nil {
		t.Fatal(err)
	}
	put(t, q, 1, 2)
	wantEntries(t, take(t, q, 1), []int{0})
	r, err := q.next(1000)
	if err != nil || !bytes.Equal(r.payload, big) || r.items != 7 {
		t.Fatalf("got %d bytes, %d items, %v", len(r.payload), r.items, err)
	}
	q.ack(r)
	wantEntries(t, take(t, q, 9), []int{1})
	if err := q.append(make([]byte, testBytes/4), 1); !errors.Is(err, errTooLarge) {
		t.Errorf("got %v, want %v", err, errTooLarge)
	}
	closeQueue(t, q)
}

func TestRestart(t *testing.T) {
	path := t.TempDir()
	q, _ := openQueue(t, path, testBytes)
	put(t, q, 0, 400)
	wantEntries(t, take(t, q, 150), numbers(0, 150))
	closeQueue(t, q)

	q, c := openQueue(t, path, testBytes)
	c.want("crowsnest_received_items", items(numbers(150, 400)))
	c.want("crowsnest_queued_items", items(numbers(150, 400)))
	put(t, q, 400, 410)
	wantEntries(t, take(t, q, 1000), numbers(150, 410))
	closeQueue(t, q)

	q, c = openQueue(t, path, testBytes)
	c.want("crowsnest_received_items", 0)
	wantEntries(t, take(t, q, 1), nil)
	put(t, q, 410, 412)
	wantEntries(t, take(t, q, 9), numbers(410, 412))
	closeQueue(t, q)
}

func TestBound(t *testing.T) {
	path := t.TempDir()
	disk, dc := openQueue(t, path, testBytes)
	b, mc := newCounts(t)
	for _, x := range []struct {
		name string
		q    *queue
		c    counts
	}{{"disk", disk, dc}, {"memory", newQueue(newMemory(), contents{}, testBytes, b), mc}} {
		t.Run(x.name, func(t *testing.T) {
			put(t, x.q, 0, 10)
			inFlight, err := x.q.next(0)
			if err != nil {
				t.Fatal(err)
			}
			for i := 10; i < 5000; i++ {
				put(t, x.q, i, i+1)
				if s := x.q.stat(); s.bytes > testBytes {
					t.Fatalf("spool has %d bytes after entry %d", s.bytes, i)
				}
			}
			if number(t, inFlight.payload) != 0 {
				t.Error("entry in flight is not the first")
			}
			x.q.ack(inFlight)
			got := take(t, x.q, 5000)
			if got[len(got)-1] != 4999 || !slices.IsSorted(got) {
				t.Errorf("the newest entries are not there in order: %v", got)
			}
			if kept := len(got) * len(entry(0)); kept < testBytes*3/4 {
				t.Errorf("only %d bytes were kept", kept)
			}
			x.c.want("crowsnest_dropped_items", items(numbers(0, 5000))-items(got)-items([]int{0}), "reason", "queue_full")
			x.c.want("crowsnest_queued_items", 0)
			closeQueue(t, x.q)
		})
	}
}

func TestLowerBoundAtRestart(t *testing.T) {
	path := t.TempDir()
	q, _ := openQueue(t, path, 8*testBytes)
	put(t, q, 0, 7000)
	closeQueue(t, q)
	q, c := openQueue(t, path, testBytes)
	if s := q.stat(); s.bytes > testBytes {
		t.Errorf("spool has %d bytes", s.bytes)
	}
	got := take(t, q, 7000)
	if got[len(got)-1] != 6999 {
		t.Errorf("the newest entry is not there: %v", got)
	}
	c.want("crowsnest_received_items", items(numbers(0, 7000)))
	c.want("crowsnest_dropped_items", items(numbers(0, 7000))-items(got), "reason", "queue_full")
	c.want("crowsnest_queued_items", 0)
	closeQueue(t, q)
}

func TestDirectoryOfAnother(t *testing.T) {
	path := t.TempDir()
	q, _ := openQueue(t, path, testBytes)
	if _, err := openDirectory(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names the directory", err)
	}
	closeQueue(t, q)
	q, _ = openQueue(t, path, testBytes)
	closeQueue(t, q)
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	path := t.TempDir()
	for _, name := range []string{"notes.txt", "x.segment", "0001.segment.bak"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	q, _ := openQueue(t, path, testBytes)
	put(t, q, 0, 2)
	wantEntries(t, take(t, q, 9), numbers(0, 2))
	closeQueue(t, q)
	for _, name := range []string{"notes.txt", "x.segment", "0001.segment.bak"} {
		if b, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(b) != "mine" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
