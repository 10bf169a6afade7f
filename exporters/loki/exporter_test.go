package loki

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exportertest"
)

func TestFlappingLoki(t *testing.T) {
	loki := &faultyLoki{fault: func(n int, w http.ResponseWriter, _ *http.Request, _ *push.PushRequest) int {
		if n%3 != 0 {
			return fail(w, []int{500, 502, 503, 504, 429, 408}[n%6], "later")
		}
		return 0
	}}
	h := startExporter(t, loki.start(t))
	// Ten streams that Loki does not know: ten pushes, each refused twice. What
	// was taken before a failure must not be pushed again after it.
	if err := h.ConsumeLogs(t.Context(), logs(10, 20)); err != nil {
		t.Fatal(err)
	}
	loki.wantOnce(t, 200)
	if got := h.counts(t); got["delivered_items"] != 200 || got["loki_retries"] != 20 || got["loki_requests{204}"] != 10 {
		t.Errorf("counters: %v, want 200 delivered, 20 retries, 10 requests with 204", got)
	}
}

func TestBrokenConnections(t *testing.T) {
	loki := &faultyLoki{fault: func(n int, _ http.ResponseWriter, _ *http.Request, _ *push.PushRequest) int {
		if n < 3 {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		return 0
	}}
	h := startExporter(t, loki.start(t))
	if err := h.ConsumeLogs(t.Context(), logs(1, 50)); err != nil {
		t.Fatal(err)
	}
	loki.wantOnce(t, 50)
	h.wantCounts(t, map[string]int64{"delivered_items": 50, "loki_requests{none}": 2, "loki_requests{204}": 1, "loki_retries": 2})
}

func TestResetWhileBodyIsSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	loki := &faultyLoki{}
	var resets atomic.Int32
	server := &http.Server{Handler: loki, ConnState: func(c net.Conn, s http.ConnState) {
		if s == http.StateNew && resets.Add(1) <= 2 {
			_ = c.(*net.TCPConn).SetLinger(0) // RST instead of FIN
			_ = c.Close()
		}
	}}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	defer wg.Wait()
	defer func() { _ = server.Close() }()
	h := startExporter(t, testConfig("http://"+listener.Addr().String()))
	if err := h.ConsumeLogs(t.Context(), logs(1, 50)); err != nil {
		t.Fatal(err)
	}
	loki.wantOnce(t, 50)
	if got := h.counts(t); got["delivered_items"] != 50 || got["loki_retries"] != 2 {
		t.Errorf("counters: %v, want 50 delivered after 2 retries", got)
	}
}

func TestHangingLoki(t *testing.T) {
	loki := &faultyLoki{fault: func(n int, _ http.ResponseWriter, r *http.Request, _ *push.PushRequest) int {
		if n == 1 {
			<-r.Context().Done()
			return 1
		}
		return 0
	}}
	cfg := loki.start(t)
	cfg.ClientConfig.Timeout = 50 * time.Millisecond
	h := startExporter(t, cfg)
	if err := h.ConsumeLogs(t.Context(), logs(1, 5)); err != nil {
		t.Fatal(err)
	}
	loki.wantOnce(t, 5)
}

func TestRequestTooLargeIsSplit(t *testing.T) {
	loki := &faultyLoki{fault: func(_ int, w http.ResponseWriter, _ *http.Request, req *push.PushRequest) int {
		switch n := len(req.Streams[0].Entries); {
		case n > 10:
			return fail(w, http.StatusRequestEntityTooLarge, "request body too large")
		case n > 5:
			return fail(w, 500, "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)")
		case n == 1 && req.Streams[0].Entries[0].Line == lineOf(17):
			return fail(w, http.StatusRequestEntityTooLarge, "request body too large")
		}
		for _, e := range req.Streams[0].Entries {
			if e.Line == lineOf(17) {
				return fail(w, http.StatusRequestEntityTooLarge, "request body too large")
			}
		}
		return 0
	}}
	h := startExporter(t, loki.start(t))
	if err := h.ConsumeLogs(t.Context(), logs(1, 100)); err != nil {
		t.Fatal(err)
	}
	loki.wantOnce(t, 100, 17)
	if got := h.counts(t); got["delivered_items"] != 99 || got["dropped_items{request_too_large}"] != 1 || got["loki_retries"] != 0 {
		t.Errorf("counters: %v, want 99 delivered, 1 dropped as request_too_large", got)
	}
}

func TestUnknownRefusalIsBisected(t *testing.T) {
	bad := []int{0, 333, 999}
	loki := &faultyLoki{fault: func(_ int, w http.ResponseWriter, _ *http.Request, req *push.PushRequest) int {
		for _, s := range req.Streams {
			for _, e := range s.Entries {
				for _, b := range bad {
					if e.Line == lineOf(b) {
						return fail(w, http.StatusUnprocessableEntity, "no such thing")
					}
				}
			}
		}
		return 0
	}}
	h := startExporter(t, loki.start(t))
	if err := h.ConsumeLogs(t.Context(), logs(1, 1000)); err != nil {
		t.Fatal(err)
	}
	loki.wantOnce(t, 1000, bad...)
	got := h.counts(t)
	if got["delivered_items"] != 997 || got["dropped_items{rejected}"] != 3 {
		t.Errorf("counters: %v, want 997 delivered, 3 rejected", got)
	}
	if pushes := got["loki_requests{204}"] + got["loki_requests{422}"]; pushes > 3*2*10+1 {
		t.Errorf("%d pushes to find 3 of 1000, want at most 61", pushes)
	}
	if n := h.logs.FilterMessageSnippet("refused log records").Len(); n != 1 {
		t.Errorf("logged %d times, want once for the one cause", n)
	}
}

func TestStreamsShareAPushOnceKnown(t *testing.T) {
	loki := &faultyLoki{}
	h := startExporter(t, loki.start(t))
	for i, want := range []int64{20, 21, 22} {
		if err := h.ConsumeLogs(t.Context(), logs(20, 5)); err != nil {
			t.Fatal(err)
		}
		if got := h.counts(t)["loki_requests{204}"]; got != want {
			t.Errorf("batch %d: %d pushes so far, want %d", i, got, want)
		}
	}
}

func TestOneTenantDoesNotHoldUpAnother(t *testing.T) {
	var open atomic.Bool
	reached := make(chan struct{}, 1)
	loki := &faultyLoki{fault: func(_ int, w http.ResponseWriter, r *http.Request, _ *push.PushRequest) int {
		if r.Header.Get(tenantHeader) == "busy" && !open.Load() {
			return fail(w, http.StatusTooManyRequests, "ingestion rate limit exceeded")
		}
		select {
		case reached <- struct{}{}:
		default:
		}
		return 0
	}}
	cfg := loki.start(t)
	cfg.Tenant = "main"
	cfg.Tenants = map[string]string{"ns-0": "busy"}
	h := startExporter(t, cfg)
	done := make(chan error)
	go func() { done <- h.ConsumeLogs(t.Context(), logs(2, 10)) }()
	<-reached
	open.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	loki.wantOnce(t, 20)
	if diff := cmp.Diff(map[string]int{"busy": 1, "main": 1}, loki.tenants); diff != "" {
		t.Errorf("pushes by tenant (-want +got):\n%s", diff)
	}
}

// TestOneStreamDoesNotHoldUpAnother: the others are taken before the one that
// Loki makes wait, whose lines stay in order.
func TestOneStreamDoesNotHoldUpAnother(t *testing.T) {
	var order []string
	loki := &faultyLoki{fault: func(_ int, w http.ResponseWriter, _ *http.Request, req *push.PushRequest) int {
		for _, s := range req.Streams {
			switch entries := s.Entries; {
			case !strings.Contains(s.Labels, "ns-0"):
			case len(entries) > 5:
				return fail(w, http.StatusRequestEntityTooLarge, "")
			case len(order) < 5:
				return fail(w, http.StatusTooManyRequests, "maximum active stream limit exceeded when trying to create stream "+s.Labels)
			}
			order = append(order, s.Entries[0].Line)
		}
		return 0
	}}
	h := startExporter(t, loki.start(t))
	if err := h.ConsumeLogs(t.Context(), logs(6, 10)); err != nil {
		t.Fatal(err)
	}
	loki.wantOnce(t, 60)
	want := []string{lineOf(10), lineOf(20), lineOf(30), lineOf(40), lineOf(50), lineOf(0), lineOf(5)}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("pushes by first line (-want +got):\n%s", diff)
	}
	if n := h.logs.FilterMessageSnippet("takes no more streams").Len(); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

// TestMisconfigurationHoldsLogs: nothing is dropped for what an operator can
// mend, and the log says what to change.
func TestMisconfigurationHoldsLogs(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		advice string
	}{
		"tenant": {func(w http.ResponseWriter, _ *http.Request) { fail(w, 401, "no org id") }, "set tenant"},
		"auth":   {func(w http.ResponseWriter, _ *http.Request) { fail(w, 401, "") }, "set auth"},
		"path":   {func(w http.ResponseWriter, _ *http.Request) { fail(w, 404, "404 page not found") }, "correct endpoint"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere/", http.StatusMovedPermanently)
		}, `redirected to "https://elsewhere/"`},
		"web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=UTF-8")
			_, _ = io.WriteString(w, "<html>Grafana</html>")
		}, "a web page answered"},
		"no metadata": {func(w http.ResponseWriter, _ *http.Request) {
			fail(w, 400, "stream '{}' includes structured metadata, but this feature is disallowed. Please see …")
		}, "allow_structured_metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			loki := &faultyLoki{fault: func(n int, w http.ResponseWriter, r *http.Request, _ *push.PushRequest) int {
				if n <= 3 {
					c.answer(w, r)
					return 1
				}
				return 0
			}}
			h := startExporter(t, loki.start(t))
			if err := h.ConsumeLogs(t.Context(), logs(1, 10)); err != nil {
				t.Fatal(err)
			}
			loki.wantOnce(t, 10)
			if got := h.counts(t); got["delivered_items"] != 10 || got["loki_retries"] != 3 {
				t.Errorf("counters: %v, want 10 delivered after 3 retries", got)
			}
			all := h.logs.FilterMessageSnippet("refuses every push").All()
			if len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()["change"]), c.advice) {
				t.Errorf("logged %v, want once with %q", all, c.advice)
			}
		})
	}
}

// TestUnsettledBatchCountsNothing: the sender has the records and sends again.
func TestUnsettledBatchCountsNothing(t *testing.T) {
	for name, end := range map[string]func(*harness, context.CancelFunc){
		"sender gives up": func(_ *harness, cancel context.CancelFunc) { cancel() },
		"shutdown":        func(h *harness, _ context.CancelFunc) { _ = h.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			reached := make(chan struct{}, 1)
			loki := &faultyLoki{fault: func(n int, w http.ResponseWriter, _ *http.Request, _ *push.PushRequest) int {
				if n == 1 {
					return 0
				}
				select {
				case reached <- struct{}{}:
				default:
				}
				return fail(w, 503, "starting")
			}}
			cfg := loki.start(t)
			h := startExporter(t, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error)
			go func() { done <- h.ConsumeLogs(ctx, logs(3, 10)) }()
			<-reached
			end(h, cancel)
			if err := <-done; err == nil || consumererror.IsPermanent(err) {
				t.Errorf("ConsumeLogs gave %v, want an error that is not permanent", err)
			}
			if got := h.counts(t); got["delivered_items"] != 0 {
				t.Errorf("counters: %v, want nothing delivered", got)
			}
			cancel()
		})
	}
}

func TestBlockedIngestionIsNotDelivered(t *testing.T) {
	loki := &faultyLoki{fault: func(_ int, w http.ResponseWriter, _ *http.Request, _ *push.PushRequest) int {
		return fail(w, codeBlocked, "ingestion blocked for user 'fake' until '2030-01-01T00:00:00Z' with status code '260'")
	}}
	h := startExporter(t, loki.start(t))
	if err := h.ConsumeLogs(t.Context(), logs(1, 10)); err != nil {
		t.Fatal(err)
	}
	h.wantCounts(t, map[string]int64{"dropped_items{blocked_ingestion}": 10, "loki_requests{260}": 1})
}

// TestRetryAfterIsHonoured measures in synthetic time, over an in-memory
// network, as a real one would not let a bubble's clock move.
func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		loki := &faultyLoki{fault: func(n int, w http.ResponseWriter, _ *http.Request, _ *push.PushRequest) int {
			times = append(times, time.Now())
			switch n {
			case 1:
				w.Header().Set("Retry-After", "7")
				return fail(w, 429, "rate limit")
			case 2:
				w.Header().Set("Retry-After", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
				return fail(w, 503, "busy")
			case 3:
				w.Header().Set("Retry-After", "999999")
				return fail(w, 503, "busy")
			}
			return 0
		}}
		network := newPipeNetwork()
		server := &http.Server{Handler: loki}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(network) })
		cfg := testConfig("http://loki")
		set := exportertest.NewNopSettings(component.MustNewType("loki"))
		x, err := newLogsExporter(cfg, set)
		if err != nil {
			t.Fatal(err)
		}
		x.client = &http.Client{Transport: &http.Transport{DialContext: network.dial, DisableKeepAlives: true}}
		h, err := x.wrap(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.ConsumeLogs(t.Context(), logs(1, 1)); err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{7 * time.Second, 89 * time.Second, maxRetryAfter} {
			// An HTTP date has no fractions of a second.
			if got := times[i+1].Sub(times[i]); got < want || got > want+time.Second {
				t.Errorf("attempt %d came after %s, want %s", i+2, got, want)
			}
		}
		_ = server.Close()
		wg.Wait()
	})
}

func TestShutdownWithoutStartAndTwice(t *testing.T) {
	x, err := NewFactory().CreateLogs(t.Context(), exportertest.NewNopSettings(component.MustNewType("loki")), testConfig("http://loki:3100"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := x.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
