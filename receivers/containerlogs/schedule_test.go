package containerlogs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
)

// TestRandomSchedules lets a writer, kubelet's rotation, failing deliveries,
// restarts and kills meet in a seeded order. Every line must arrive whole; one
// run delivers the lines of a stream in order and none twice.
func TestRandomSchedules(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			newSchedule(t, seed).play(120)
		})
	}
}

type randomSchedule struct {
	*node
	rnd      *rand.Rand
	program  *program
	sink     *sink
	runs     []*sink
	next     [2]int      // number of the next line of each stream
	rest     [2][]string // pieces of a line that were not written yet
	rotation int
	plain    []string // rotated and not compressed
	pieces   int
}

func newSchedule(t *testing.T, seed uint64) *randomSchedule {
	s := &randomSchedule{node: newNode(t), rnd: rand.New(rand.NewPCG(seed, 1))}
	s.cfg.MaxLineBytes = 4 << 10
	s.boot()
	return s
}

func (s *randomSchedule) boot() {
	s.sink = &sink{}
	s.runs = append(s.runs, s.sink)
	rnd := rand.New(rand.NewPCG(s.rnd.Uint64(), 2))
	s.sink.answer = func(plog.Logs) error {
		if rnd.IntN(6) == 0 {
			return errors.New("not now")
		}
		return nil
	}
	s.cfg.ScanInterval = time.Duration(10+s.rnd.IntN(200)) * time.Millisecond
	s.program = s.start(s.sink)
	if s.rnd.IntN(3) == 0 {
		s.program.discovery.watch.close() // scans must find everything too
	}
}

func (s *randomSchedule) play(steps int) {
	for range steps {
		switch n := s.rnd.IntN(40); {
		case n < 24:
			s.writeSome()
		case n < 29:
			s.rotate()
		case n < 32:
			s.compressOne()
		case n < 37:
			s.settle()
		case n == 37:
			s.deleteDelivered()
		case n == 38:
			s.program.kill()
			s.boot()
		default:
			s.program.stop()
			s.boot()
		}
	}
	for i := range s.rest {
		s.finishLine(i)
	}
	s.settleAll()
	s.program.stop()
	s.verify()
}

// line is the n-th line of a stream; some are longer than the limit.
func scheduleLine(stream, n int) string {
	size := n * 7919 % 300
	if n%50 == 7 {
		size = 6000
	}
	return fmt.Sprintf("%d:%d:%s", stream, n, strings.Repeat(strconv.Itoa(n%10), size))
}

func (s *randomSchedule) writeSome() {
	var b strings.Builder
	for range 1 + s.rnd.IntN(60) {
		b.WriteString(s.piece(s.rnd.IntN(2)))
	}
	text := b.String()
	// The runtime's write may be seen half done.
	cut := s.rnd.IntN(len(text))
	s.write("0.log", text[:cut])
	s.write("0.log", text[cut:])
}

// piece is the next piece of a stream: a whole line or a part of one.
func (s *randomSchedule) piece(i int) string {
	if len(s.rest[i]) == 0 {
		line := scheduleLine(i, s.next[i])
		s.next[i]++
		for s.rnd.IntN(4) == 0 && len(line) > 1 {
			k := 1 + s.rnd.IntN(len(line)-1)
			s.rest[i] = append(s.rest[i], line[:k])
			line = line[k:]
		}
		s.rest[i] = append(s.rest[i], line)
	}
	text, tag := s.rest[i][0], "F"
	if s.rest[i] = s.rest[i][1:]; len(s.rest[i]) > 0 {
		tag = "P"
	}
	s.pieces++
	at := time.Date(2026, 11, 23, 4, 57, 52, s.pieces, time.UTC).Format("2006-01-02T15:04:05.000000000Z")
	return at + " " + [2]string{"stdout", "stderr"}[i] + " " + tag + " " + text + "\n"
}

func (s *randomSchedule) finishLine(i int) {
	for len(s.rest[i]) > 0 {
		s.write("0.log", s.piece(i))
	}
}

func (s *randomSchedule) rotate() {
	if st, err := os.Stat(s.path("0.log")); err != nil || st.Size() == 0 {
		return
	}
	s.rotation++
	name := fmt.Sprintf("0.log.20261123-%06d", s.rotation)
	s.rename("0.log", name)
	s.write("0.log", "")
	s.plain = append(s.plain, name)
}

// compressOne compresses the oldest rotated file, as kubelet never does with
// the newest.
func (s *randomSchedule) compressOne() {
	if len(s.plain) > 1 {
		s.compress(s.plain[0])
		s.plain = s.plain[1:]
	}
}

// deleteDelivered deletes the compressed files, as kubelet does, once they are
// delivered and the offsets file says so: else a kill would have to send lines
// again whose beginning no longer exists.
func (s *randomSchedule) deleteDelivered() {
	for i := range s.rest {
		s.finishLine(i)
	}
	s.settleAll()
	eventually(s.t, "offsets saved", s.allSaved)
	paths, err := filepath.Glob(s.path("*.gz"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range paths {
		s.remove(filepath.Base(path))
	}
}

// allSaved says whether the offsets file holds the end of every file.
func (s *randomSchedule) allSaved() bool {
	stored, _, err := s.program.store.read()
	if err != nil {
		s.t.Fatal(err)
	}
	saved, offsets := true, map[string]int64{}
	for _, e := range stored {
		offsets[filepath.Base(e.path)] = e.offset
	}
	for _, tail := range s.program.discovery.snapshot() {
		tail.mu.Lock()
		for _, f := range slices.Concat(tail.files, tail.done) {
			if !f.gone && offsets[f.name.String()] != f.read {
				saved = false
			}
		}
		tail.mu.Unlock()
	}
	return saved
}

// settle waits until something more was delivered, if there is anything.
func (s *randomSchedule) settle() {
	before := len(s.sink.got())
	eventually(s.t, "progress", func() bool { return len(s.sink.got()) > before || s.complete() })
}

func (s *randomSchedule) settleAll() { eventually(s.t, "all lines", s.complete) }

// complete says whether every whole line was delivered by one of the runs.
func (s *randomSchedule) complete() bool {
	seen := s.seen(nil)
	for i := range s.next {
		whole := s.next[i]
		if len(s.rest[i]) > 0 {
			whole--
		}
		if len(seen[i]) < whole {
			return false
		}
	}
	return true
}

// seen is the set of line numbers delivered; check is called for each line.
func (s *randomSchedule) seen(check func(run, stream, n int, body string)) [2]map[int]bool {
	seen := [2]map[int]bool{{}, {}}
	for run, sink := range s.runs {
		for _, body := range sink.got() {
			parts := strings.SplitN(body, ":", 3)
			if len(parts) != 3 {
				s.t.Fatalf("run %d: %q is no line that was written", run, body)
			}
			stream, _ := strconv.Atoi(parts[0])
			n, _ := strconv.Atoi(parts[1])
			seen[stream&1][n] = true
			if check != nil {
				check(run, stream, n, body)
			}
		}
	}
	return seen
}

func (s *randomSchedule) verify() {
	last := map[[2]int]int{}
	seen := s.seen(func(run, stream, n int, body string) {
		want := scheduleLine(stream, n)
		if body != want[:min(len(want), s.cfg.MaxLineBytes)] {
			s.t.Fatalf("run %d: line %d of stream %d is %.60q, want %.60q", run, n, stream, body, want)
		}
		key := [2]int{run, stream}
		if prev, ok := last[key]; ok && n <= prev {
			s.t.Fatalf("run %d: line %d of stream %d came after line %d", run, n, stream, prev)
		}
		last[key] = n
	})
	for i := range s.next {
		for n := range s.next[i] {
			if !seen[i][n] {
				s.t.Errorf("line %d of stream %d is lost", n, i)
			}
		}
	}
}
