package system

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// startSystem starts one that ends with the test.
func startSystem(t *testing.T, o Options) *System {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// drainAll stops the writing and fails the test unless everything arrived and
// both ledgers add up, with nothing dropped and nothing queued.
func drainAll(t *testing.T, s *System) {
	t.Helper()
	s.Node.StopWriting()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r, err := s.Drain(ctx)
	if err != nil || !r.Complete() {
		t.Fatalf("not all arrived (%v):\n%v\nagent:\n%s\naggregator:\n%s", err, r, s.Agent.LogTail(), s.Aggregator.LogTail())
	}
	for name, p := range map[string]*Program{"agent": s.Agent, "aggregator": s.Aggregator} {
		// Metrics keep coming, so a look may fall between two counters.
		var last string
		eventuallyOr(t, func() bool {
			ledger, err := p.Ledger(t.Context())
			last = fmt.Sprintf("%+v (%v)", ledger, err)
			return err == nil && len(ledger) == 3 && even(ledger)
		}, func() string { return name + "'s ledger does not add up: " + last })
	}
}

func even(ledger map[string]Balance) bool {
	for _, b := range ledger {
		if !b.Even() || b.Queued != 0 || b.Dropped != 0 || b.Received == 0 {
			return false
		}
	}
	return true
}

// eventuallyOr is eventually with a word about what did not come.
func eventuallyOr(t *testing.T, f func() bool, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !f(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what())
		}
	}
}

// metric adds up the samples of a family on a program's own page whose line
// contains all of the labels, each as `name="value"`.
func metric(t *testing.T, p *Program, family string, labels ...string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + p.Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
next:
	for line := range strings.Lines(string(page)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), family)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("parse %q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// sleepOut is how long a fault lasts; not a measure of anything.
func sleepOut(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// agentMemoryBound is far above what an agent needs at this rate and far below
// a minute of buffered data at any rate that grows without bound.
const agentMemoryBound = 200 << 20

// Each program is killed and Loki is away for a minute while the node writes
// and rotates: nothing may be lost, and the agent may not buffer the outage.
func TestFaultsLoseNothing(t *testing.T) {
	s := startSystem(t, Options{MetricsInterval: 5 * time.Second, Node: nodesim.Config{
		LinesPerSecond: 500, TracesPerSecond: 2, LogMaxBytes: 512 << 10, LogCheckEvery: time.Second, CrashEvery: 10 * time.Second, Seed: 2}})
	sleepOut(t, 5*time.Second)
	for _, target := range []*Program{s.Agent, s.Aggregator} {
		for range 2 {
			if err := target.Kill(); err != nil {
				t.Fatal(err)
			}
			sleepOut(t, 3*time.Second)
			if err := target.Restart(); err != nil {
				t.Fatal(err)
			}
			sleepOut(t, 4*time.Second)
		}
	}
	if err := s.Loki.Kill(); err != nil {
		t.Fatal(err)
	}
	var most int64
	for range 12 {
		sleepOut(t, 5*time.Second)
		u, err := s.Agent.Usage()
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, u.RSSBytes)
	}
	if err := s.Loki.Restart(); err != nil {
		t.Fatal(err)
	}
	t.Logf("agent took at most %d MiB while Loki was away for a minute", most>>20)
	if most > agentMemoryBound {
		t.Errorf("agent took %d MiB while Loki was away, want at most %d", most>>20, agentMemoryBound>>20)
	}
	drainAll(t, s)
}

// A store that hangs must not hold up the others, nor lose its own data.
func TestHangingStoresHoldUpNoOther(t *testing.T) {
	s := startSystem(t, Options{MetricsInterval: time.Second, Node: nodesim.Config{LinesPerSecond: 200, TracesPerSecond: 2, Seed: 3}})
	eventually(t, func() bool {
		found, _, err := s.FoundLines(t.Context())
		return err == nil && found > 200
	})
	if err := s.Jaeger.Pause(); err != nil {
		t.Fatal(err)
	}
	before, _, err := s.FoundLines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		found, _, err := s.FoundLines(t.Context())
		return err == nil && found > before+1000
	})
	if queued := metric(t, s.Agent, "crowsnest_queued_items", `signal="traces"`); queued == 0 {
		t.Error("no spans wait at the agent while Jaeger hangs")
	}
	if err := s.Jaeger.Resume(); err != nil {
		t.Fatal(err)
	}
	drainAll(t, s)
}

// badPod is a pod folder of hostile log files beside the node's own.
func badPod(t *testing.T, s *System) {
	t.Helper()
	file := func(container string) string {
		dir := filepath.Join(s.Node.PodsDir, "hostile_bad-0_6f1b5c3e-9f0a-4c39-8d52-0c3a1f6f0001", container)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, "0.log")
	}
	write := func(container string, text []byte) {
		if err := os.WriteFile(file(container), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	garbage := make([]byte, 64<<10) // some 250 lines
	rand.Read(garbage)
	write("garbage", garbage)
	now := time.Now().UTC().Format(time.RFC3339Nano)
	write("long", []byte(now+" stdout F "+strings.Repeat("x", 20<<20)+"\n"+now+" stdout F after the long line\n"))
	write("empty", nil)
	// What cannot be read although it is there.
	if err := os.MkdirAll(file("folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("0.log", file("loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/does/not/exist", file("dangling")); err != nil {
		t.Fatal(err)
	}
}

// Hostile pods, a kubelet that refuses or hangs, and strangers on every port:
// each is counted and named, and everything else goes on.
func TestBadInputIsCountedAndStopsNothing(t *testing.T) {
	s := startSystem(t, Options{MetricsInterval: time.Second, Node: nodesim.Config{LinesPerSecond: 200, TracesPerSecond: 2, Seed: 4}})
	badPod(t, s)
	eventuallyOr(t, func() bool {
		return metric(t, s.Agent, "crowsnest_containerlogs_truncated_lines_total") >= 1 &&
			metric(t, s.Agent, "crowsnest_containerlogs_malformed_lines_total") >= 1 &&
			metric(t, s.Agent, "crowsnest_containerlogs_read_errors_total") >= 1
	}, func() string { return "the hostile pod's files are not counted" })
	entries := 0
	eventuallyOr(t, func() bool {
		entries = 0
		err := s.Loki.Each(t.Context(), `{pod="bad-0", container="long"}`, time.Now().Add(-time.Hour), time.Now().Add(time.Minute), func(stores.Entry) error {
			entries++
			return nil
		})
		return err == nil && entries == 2
	}, func() string {
		return fmt.Sprintf("%d lines of the pod with the 20 MB line are in Loki, want 2", entries)
	})

	for _, c := range []struct {
		fault   nodesim.Fault
		outcome string
	}{{nodesim.Unauthorized, "401"}, {nodesim.Hang, "hangs: no whole answer within"}} {
		s.Node.SetFault(c.fault)
		eventuallyOr(t, func() bool { return up(t, s) == 0 }, func() string { return "up is not 0 while the kubelet fails" })
		s.Node.SetFault(nodesim.NoFault)
		eventuallyOr(t, func() bool { return up(t, s) == 4 }, func() string { return "up is not 1 after the kubelet recovered" })
		if log, err := os.ReadFile(s.Agent.LogPath()); err != nil || !strings.Contains(string(log), c.outcome) {
			t.Errorf("the agent's log does not say %q (%v)", c.outcome, err)
		}
	}
	log, err := os.ReadFile(s.Agent.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/folder/0.log", "/loop/0.log"} {
		if !strings.Contains(string(log), name) {
			t.Errorf("the agent's log does not name %s", name)
		}
	}
	s.Node.StopWriting()
	var r Report
	eventuallyOr(t, func() bool {
		r, err = s.Verify(t.Context())
		// The garbage is in Loki too, as lines that the node never wrote.
		return err == nil && r.Lines.Missing == 0 && r.Series.Complete() && r.Traces.Complete()
	}, func() string { return fmt.Sprintf("the others' data did not all arrive (%v):\n%v", err, r) })
}

// up adds up the kubelet's four endpoints.
func up(t *testing.T, s *System) float64 {
	t.Helper()
	samples, err := s.Prometheus.Query(t.Context(), `up{job="kubelet"}`)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, sample := range samples {
		sum += sample.Value
	}
	return sum
}
