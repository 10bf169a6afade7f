package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
)

// lines writes one stream.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	stream string
	seq    uint64
	buf    []byte
}

func newLines(w io.Writer) (*lines, error) {
	host, err := os.Hostname() // the pod's name
	if err != nil {
		return nil, err
	}
	return &lines{w: w, stream: fmt.Sprintf("%s-%x", host, time.Now().UnixNano())}, nil
}

// write writes the next line, at least size bytes long, by a single call.
func (l *lines) write(traceID, spanID string, size int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	l.buf = nodesim.AppendLine(l.buf[:0], time.Now(), l.stream, l.seq, traceID, spanID, size)
	l.buf = append(l.buf, '\n')
	if _, err := l.w.Write(l.buf); err != nil {
		return fmt.Errorf("write line %d of %s: %w", l.seq, l.stream, err)
	}
	return nil
}

// longLineBytes makes three pieces of the runtime's 16 KiB.
const longLineBytes = 40_000

// runLog logs lines at a rate, and then idles or ends: what a Job, a CronJob and
// a crashing container are made of.
func runLog(ctx context.Context, flags *flag.FlagSet, args []string) error {
	count := flags.Uint64("lines", 0, "lines to log; 0: no end")
	rate := flags.Float64("rate", 10, "lines a second")
	long := flags.Uint64("long-every", 0, "make every so manieth line 40,000 bytes long; 0: none")
	code := flags.Int("exit", -1, "exit code after the last line; -1: idle")
	flags.Parse(args)
	out, err := newLines(os.Stdout)
	if err != nil {
		return err
	}
	if err := out.writeAll(ctx, *count, *rate, *long); err != nil {
		return err
	}
	if *code >= 0 {
		return exit(*code)
	}
	<-ctx.Done()
	return nil
}

// writeAll keeps the rate on average: after a delay it catches up.
func (l *lines) writeAll(ctx context.Context, count uint64, rate float64, long uint64) error {
	if rate <= 0 {
		return fmt.Errorf("rate is %g; want more than 0", rate)
	}
	start := time.Now()
	for n := uint64(1); count == 0 || n <= count; n++ {
		size := 0
		if long > 0 && n%long == 0 {
			size = longLineBytes
		}
		if err := l.write("", "", size); err != nil {
			return err
		}
		due := start.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if err := sleepUntil(ctx, due); err != nil {
			return err
		}
	}
	return nil
}

func sleepUntil(ctx context.Context, due time.Time) error {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
