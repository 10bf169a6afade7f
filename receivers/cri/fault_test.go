package cri

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/crowsnest-o11y/crowsnest/criapi"
	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// TestSocketComesAndGoes: up is 0 and series end while nobody answers.
func TestSocketComesAndGoes(t *testing.T) {
	socket := socketPath(t)
	r := newRig(t, socket, nil)
	r.scrape(t.Context())
	if got := up(r.sink.last()); got != "0" {
		t.Errorf("without a socket: up is %s", got)
	}
	f := &fake{answers: captured(t)}
	stop := f.serve(t, socket)
	r.untilUp(t)
	series := len(find(r.sink.last(), "container_"))
	if series < 100 || stale(r.sink.last()) != 0 {
		t.Errorf("%d series, %d ended", series, stale(r.sink.last()))
	}
	stop()
	r.scrape(t.Context())
	if got := stale(r.sink.last()); up(r.sink.last()) != "0" || got != series {
		t.Errorf("gone socket: up is %s, %d of %d series ended", up(r.sink.last()), got, series)
	}
	r.scrape(t.Context())
	if got := stale(r.sink.last()); got != 0 {
		t.Errorf("%d series ended twice", got)
	}
	f.serve(t, socket)
	r.untilUp(t)
	if r.outcome(t, outcomeUnavailable) == 0 || r.outcome(t, outcomeOK) != 2 {
		t.Errorf("outcomes: %d unavailable, %d ok", r.outcome(t, outcomeUnavailable), r.outcome(t, outcomeOK))
	}
	// What goes soon after it came is logged once.
	if r.logs.FilterMessageSnippet("gives metrics again").Len() != 1 || r.logs.FilterMessageSnippet("gave no metrics").Len() != 1 {
		t.Errorf("log: %v", r.logs.All())
	}
}

// untilUp scrapes until gRPC has dialled again.
func (r *rig) untilUp(t *testing.T) {
	t.Helper()
	for {
		r.scrape(t.Context())
		if up(r.sink.last()) == "1" {
			return
		}
		time.Sleep(20 * time.Millisecond) // ends with the test's own time limit
	}
}

func TestHangingRuntime(t *testing.T) {
	f := &fake{answers: captured(t)}
	socket := socketPath(t)
	f.serve(t, socket)
	hang := make(chan struct{})
	defer close(hang)
	f.fail(nil, hang)
	r := newRig(t, socket, func(c *Config) { c.CollectionInterval = 300 * time.Millisecond })
	r.scrape(t.Context())
	if up(r.sink.last()) != "0" || r.outcome(t, outcomeTimeout) != 1 {
		t.Errorf("up is %s, %d timeouts", up(r.sink.last()), r.outcome(t, outcomeTimeout))
	}
	f.fail(nil, nil)
	r.scrape(t.Context())
	if up(r.sink.last()) != "1" {
		t.Error("does not work again")
	}
}

func TestErrorOfRuntime(t *testing.T) {
	f := &fake{answers: captured(t)}
	socket := socketPath(t)
	f.serve(t, socket)
	r := newRig(t, socket, nil)
	r.scrape(t.Context())
	series := len(find(r.sink.last(), "container_"))
	f.fail(status.Error(codes.Internal, "broken"), nil)
	r.scrape(t.Context())
	// Other calls worked: a scrape counts whole or not at all.
	if got := stale(r.sink.last()); up(r.sink.last()) != "0" || got != series || r.outcome(t, outcomeError) != 1 {
		t.Errorf("up is %s, %d of %d series ended, %d errors", up(r.sink.last()), got, series, r.outcome(t, outcomeError))
	}
}

func TestTooLargeAnswer(t *testing.T) {
	a := captured(t)
	a.pods = []*cri.PodSandboxStats{{Attributes: &cri.PodSandboxAttributes{Id: strings.Repeat("x", criapi.MaxMessageBytes)}}}
	f := &fake{answers: a}
	socket := socketPath(t)
	f.serve(t, socket)
	r := newRig(t, socket, nil)
	r.scrape(t.Context())
	if up(r.sink.last()) != "0" || r.outcome(t, outcomeTooLarge) != 1 {
		t.Errorf("up is %s, %d too large", up(r.sink.last()), r.outcome(t, outcomeTooLarge))
	}
}

// TestSeriesLimit: what is over is in the ledger.
func TestSeriesLimit(t *testing.T) {
	f := &fake{answers: captured(t)}
	socket := socketPath(t)
	f.serve(t, socket)
	r := newRig(t, socket, func(c *Config) { c.MaxSeries = 10 })
	r.scrape(t.Context())
	if got := len(find(r.sink.last(), "container_")); got != 10 {
		t.Errorf("%d series", got)
	}
	if got := counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", reasonSeriesLimit); got < 100 {
		t.Errorf("%d dropped", got)
	}
}

// TestRefusal: ends of series are marked until somebody took the marks.
func TestRefusal(t *testing.T) {
	f := &fake{answers: captured(t)}
	socket := socketPath(t)
	f.serve(t, socket)
	r := newRig(t, socket, nil)
	r.scrape(t.Context())
	gone := f.answers.pods[0].GetAttributes().GetId()
	f.answers.pods = f.answers.pods[1:]
	r.sink.err = errors.New("full")
	r.scrape(t.Context())
	dropped := counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", reasonRefused)
	if dropped == 0 {
		t.Error("refused points are not in the ledger")
	}
	r.sink.err = nil
	r.scrape(t.Context())
	marked := slices.ContainsFunc(r.sink.last(), func(line string) bool { return strings.Contains(line, gone) && strings.Contains(line, " stale ") })
	if !marked {
		t.Error("end of series is not marked")
	}
	r.sink.err = consumererror.NewPermanent(errors.New("no"))
	r.scrape(t.Context())
	r.sink.err = nil
	if counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", reasonRefused) != dropped {
		t.Error("what was rejected for good is in the ledger of who did so, not in ours")
	}
}

func TestStartAndShutdown(t *testing.T) {
	f := &fake{answers: captured(t)}
	socket := socketPath(t)
	f.serve(t, socket)
	cfg := defaultConfig()
	cfg.Endpoint, cfg.Instance, cfg.CollectionInterval = "unix://"+socket, "10.0.0.1:10250", 100*time.Millisecond
	out := &sink{}
	r, err := NewFactory().CreateMetrics(t.Context(), receivertest.NewNopSettings(NewFactory().Type()), cfg, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown without start: %v", err)
	}
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	for up(out.last()) != "1" {
		time.Sleep(10 * time.Millisecond) // ends with the test's own time limit
	}
	for range 2 {
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`endpoint: "/run/x"`:             func(c *Config) { c.Endpoint = "/run/x" },
		`instance: ""`:                   func(c *Config) { c.Instance = "" },
		"collection_interval: 1ms":       func(c *Config) { c.CollectionInterval = time.Millisecond },
		"max_series: 0 is not between 1": func(c *Config) { c.MaxSeries = 0 },
	} {
		cfg := defaultConfig()
		cfg.Instance = "10.0.0.1:10250"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
