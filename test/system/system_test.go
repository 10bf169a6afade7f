package system

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The verification is worth what it notices: with the agent dead it has to say
// that lines and traces are missing, and with the agent back that none are.
func TestVerificationNoticesLossAndRecovery(t *testing.T) {
	s, err := Start(t.Context(), Options{MetricsInterval: 5 * time.Second,
		Node: nodesim.Config{LinesPerSecond: 300, TracesPerSecond: 5, LogMaxBytes: 128 << 10, LogCheckEvery: time.Second, Seed: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, func() bool {
		found, _, err := s.FoundLines(t.Context())
		return err == nil && found > 500
	})
	if err := s.Agent.Kill(); err != nil {
		t.Fatal(err)
	}
	written, traces := s.Node.Written(), len(s.Node.Traces())
	eventually(t, func() bool { return s.Node.Written() > written+300 && len(s.Node.Traces()) > traces+3 })
	s.Node.StopWriting()
	r, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Complete() || r.Lines.Missing < 200 || len(r.Lines.Details) == 0 || r.Traces.Made == r.Traces.Found || len(r.Traces.Missing) == 0 {
		t.Fatalf("with a dead agent the report is\n%v", r)
	}
	if err := s.Agent.Restart(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err = s.Drain(ctx)
	if err != nil || !r.Complete() {
		t.Fatalf("after the agent came back (%v):\n%v\n%s", err, r, s.Agent.LogTail())
	}
	for name, p := range map[string]*Program{"agent": s.Agent, "aggregator": s.Aggregator} {
		ledger, err := p.Ledger(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for signal, b := range ledger {
			if b.Dropped != 0 || b.Received == 0 {
				t.Errorf("%s's ledger of %s: %+v", name, signal, b)
			}
		}
	}
}

func TestDeadProgramIsReported(t *testing.T) {
	s, err := Start(t.Context(), Options{Node: nodesim.Config{Pods: 5}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Err(); err != nil {
		t.Errorf("healthy system: %v", err)
	}
	if err := s.Aggregator.Signal(9); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return s.Err() != nil })
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), aggregatorName) {
		t.Errorf("Stop gives %v, want that %s ended", err, aggregatorName)
	}
}

// eventually asks until f is true; the deadline is there for what never comes.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatal("not within two minutes")
		case <-tick.C:
		}
	}
}
