package spool

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// appendForever is the child: it writes the number of every entry that the queue
// took over to standard output, and delivers every third.
func appendForever(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	b, err := newBook(noop.NewMeterProvider(), zap.NewNop(), ledger.Traces, "spool")
	fail(err)
	dir, err := openDirectory(path)
	fail(err)
	found, err := dir.recover(b)
	fail(err)
	q := newQueue(dir, found, 64<<20, b)
	var first int
	_, err = fmt.Sscan(os.Args[1], &first)
	fail(err)
	for i := first; ; i++ {
		fail(q.append(entry(i), i%3+1))
		fmt.Println("appended", i)
		if i%3 != 0 {
			continue
		}
		r, err := q.next(0)
		fail(err)
		var n int
		_, err = fmt.Sscanf(string(r.payload[:6]), "%d", &n)
		fail(err)
		fmt.Println("delivered", n)
		q.ack(r)
	}
}

// A process is killed (SIGKILL) again and again while it appends and delivers.
// Every entry that it said it had taken over is delivered by some process, in
// order; at most the one in flight at a kill is delivered twice.
func TestKill(t *testing.T) {
	path := t.TempDir()
	var appended, delivered []int
	for round := range 25 {
		child := exec.Command(os.Args[0], strconv.Itoa(round*10_000))
		child.Env = append(os.Environ(), childEnv+"="+path)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		killAfter := 1 + rand.IntN(400)
		inFlight := len(delivered) > 0 // at the last kill
		for lines := bufio.NewScanner(out); lines.Scan(); killAfter-- {
			var what string
			var n int
			if _, err := fmt.Sscan(lines.Text(), &what, &n); err != nil {
				t.Fatalf("line %q: %v", lines.Text(), err)
			}
			if what == "appended" {
				appended = append(appended, n)
			} else if again := inFlight && n == delivered[len(delivered)-1]; !again {
				delivered = append(delivered, n)
				inFlight = false
			}
			if killAfter == 0 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
			t.Fatalf("round %d: child ended by itself: %v", round, err)
		}
	}
	q, c := openQueue(t, path, 64<<20)
	rest := take(t, q, 1_000_000)
	if delivered[len(delivered)-1] == rest[0] {
		rest = rest[1:]
	}
	delivered = append(delivered, rest...)
	for i := 1; i < len(delivered); i++ {
		if delivered[i] <= delivered[i-1] {
			t.Errorf("delivered entry %d after %d", delivered[i], delivered[i-1])
		}
	}
	for _, n := range appended {
		if _, found := slices.BinarySearch(delivered, n); !found {
			t.Errorf("entry %d was taken over and is lost", n)
		}
	}
	// A kill between an append and its line leaves one more than was said.
	if extra := len(delivered) - len(appended); extra < 0 || extra > 25 {
		t.Errorf("%d entries were taken over, %d delivered", len(appended), len(delivered))
	}
	c.want("crowsnest_dropped_items", 0)
	closeQueue(t, q)
}
