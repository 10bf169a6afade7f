//go:build e2e

package alerts

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

var (
	keep    = flag.Bool("keep", false, "leave the cluster and the release in it")
	attach  = flag.Bool("attach", false, "go on with what -keep left, instead of installing anew")
	update  = flag.Bool("update", false, "write docs/coverage.md")
	healthy = flag.Duration("healthy", 4*time.Minute, "how long TestHealthy watches")
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
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
	in.checkHealthy(t, *healthy)
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
