//go:build e2e

package alerts

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

var (
	keep   = flag.Bool("keep", false, "leave the cluster and the release in it")
	attach = flag.Bool("attach", false, "go on with what -keep left, instead of installing anew")
	update = flag.Bool("update", false, "write docs/coverage.md")
)

// kernel is asked from the begin, as ranges of alerts begin before the test of them.
var kernel machine

func TestMain(m *testing.M) {
	flag.Parse()
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { kernel.watch(ctx) })
	code := m.Run()
	stop()
	watching.Wait()
	if !*keep {
		if err := down(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func TestHealthy(t *testing.T) {
	in := installed(t)
	in.checkHealthy(t, healthy(t))
}

// healthy is how long TestHealthy watches; doc.go says why.
func healthy(t *testing.T) time.Duration {
	t.Helper()
	text := cmp.Or(os.Getenv("HEALTHY_MINUTES"), "9")
	minutes, err := strconv.Atoi(text)
	if err != nil || minutes < 1 || minutes > 24*60 {
		t.Fatalf("HEALTHY_MINUTES is %q, want a number of minutes from 1 to 1440", text)
	}
	return time.Duration(minutes) * time.Minute
}

func TestStatusPage(t *testing.T) {
	in := installed(t)
	in.checkStatusPages(t)
}

func TestLinks(t *testing.T) {
	in := installed(t)
	sources := readSources(t)
	t.Run("exemplar to trace", func(t *testing.T) { in.checkExemplars(t, sources) })
	t.Run("span to lines", func(t *testing.T) { in.checkSpans(t, sources) })
	t.Run("line to trace", func(t *testing.T) { in.checkLines(t, sources) })
}

func TestFaults(t *testing.T) {
	in := installed(t)
	in.breakPods(t)
	in.checkFaults(t)
}

func TestCoverage(t *testing.T) {
	in := installed(t)
	in.breakPods(t)
	in.checkCoverage(t)
}
