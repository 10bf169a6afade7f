package spool

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// hop is the next consumer: it answers as told and keeps the names of the spans
// that it took. It counts as our exporters do.
type hop struct {
	mu      sync.Mutex
	answer  func(ctx context.Context, spans []string) error
	spans   []string
	calls   int
	account *ledger.Account
}

func (h *hop) consume(ctx context.Context, td ptrace.Traces) error {
	names := spanNames(td)
	h.mu.Lock()
	h.calls++
	answer := h.answer
	h.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, names); err != nil {
			if consumererror.IsPermanent(err) {
				h.account.Dropped(len(names), ledger.ReasonRejected)
			}
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spans = append(h.spans, names...)
	h.account.Delivered(len(names))
	return nil
}

func (h *hop) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.spans...)
}

func (h *hop) requests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls
}

func spanNames(td ptrace.Traces) []string {
	var names []string
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				names = append(names, span.Name())
			}
		}
	}
	return names
}

// spans makes traces of the spans from..to-1, under one resource.
func spans(from, to int) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "test")
	ss := rs.ScopeSpans().AppendEmpty()
	for i := from; i < to; i++ {
		ss.Spans().AppendEmpty().SetName(fmt.Sprint(i))
	}
	td.MarkReadOnly()
	return td
}

type running struct {
	processor.Traces
	counts
	hop *hop
}

// start runs a spool for traces from the factory. Its counters begin at zero, as
// in a new process.
func start(t *testing.T, cfg *Config, answer func(context.Context, []string) error) *running {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	r := &running{counts: counts{t, componenttest.NewTelemetry()}, hop: &hop{answer: answer}}
	set := processortest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = r.tel.NewTelemetrySettings()
	var err error
	if r.hop.account, err = ledger.NewAccount(set.MeterProvider, ledger.Traces, "next"); err != nil {
		t.Fatal(err)
	}
	next, err := consumer.NewTraces(r.hop.consume)
	if err != nil {
		t.Fatal(err)
	}
	if r.Traces, err = NewFactory().CreateTraces(t.Context(), set, cfg, next); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	return r
}

// send plays the receiver: it counts what was taken over, as the pipeline does.
func (r *running) send(td ptrace.Traces) error {
	n := td.SpanCount()
	err := r.ConsumeTraces(r.t.Context(), td)
	if err == nil || consumererror.IsPermanent(err) {
		r.hop.account.Received(n)
	}
	return err
}

func (r *running) shutdown() {
	r.t.Helper()
	for range 2 {
		if err := r.Shutdown(context.Background()); err != nil {
			r.t.Error(err)
		}
	}
}

// wantBalance checks the ledger's equation and its terms.
func (r *running) wantBalance(received, delivered, queued, dropped int) {
	r.t.Helper()
	r.want("crowsnest_received_items", received)
	r.want("crowsnest_delivered_items", delivered)
	r.want("crowsnest_queued_items", queued)
	r.want("crowsnest_dropped_items", dropped)
	if received != delivered+queued+dropped {
		r.t.Errorf("test expects an unbalanced ledger: %d != %d + %d + %d", received, delivered, queued, dropped)
	}
}

func (r *running) wantNames(want ...int) {
	r.t.Helper()
	var all []string
	for _, n := range want {
		all = append(all, fmt.Sprint(n))
	}
	if got := strings.Join(r.hop.names(), " "); got != strings.Join(all, " ") {
		r.t.Errorf("next consumer has %s, want %s", got, strings.Join(all, " "))
	}
}

// eachMedium runs f in a synctest bubble, on disk and in memory.
func eachMedium(t *testing.T, f func(t *testing.T, cfg *Config)) {
	path := t.TempDir() // outside the bubble: it is removed there
	for name, cfg := range map[string]*Config{"memory": {}, "disk": {Directory: path}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, cfg) })
		})
	}
}

func TestDeliversInOrder(t *testing.T) {
	eachMedium(t, func(t *testing.T, cfg *Config) {
		r := start(t, cfg, nil)
		for i := range 100 {
			if err := r.send(spans(2*i, 2*i+2)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // idle: nothing waits for a timer
		r.wantNames(numbers(0, 200)...)
		r.wantBalance(200, 200, 0, 0)
		r.shutdown()
		r.wantBalance(200, 200, 0, 0)
	})
}

func TestRetriesThenJoins(t *testing.T) {
	eachMedium(t, func(t *testing.T, cfg *Config) {
		var up atomic.Bool
		r := start(t, cfg, func(context.Context, []string) error {
			if !up.Load() {
				return errors.New("next hop is down")
			}
			return nil
		})
		for i := range 50 {
			if err := r.send(spans(i, i+1)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute)
		r.wantNames()
		r.wantBalance(50, 0, 50, 0)
		tries := r.hop.requests()
		if tries < 20 || tries > 100 {
			t.Errorf("%d tries in 10 minutes", tries)
		}
		up.Store(true)
		time.Sleep(2 * maxRetryDelay)
		r.wantNames(numbers(0, 50)...)
		r.wantBalance(50, 50, 0, 0)
		if requests := r.hop.requests() - tries; requests > 2 {
			t.Errorf("50 small entries went in %d requests", requests)
		}
		r.shutdown()
	})
}

func TestPermanentErrorGoesOn(t *testing.T) {
	eachMedium(t, func(t *testing.T, cfg *Config) {
		r := start(t, cfg, func(_ context.Context, names []string) error {
			if names[0] == "3" {
				return consumererror.NewPermanent(errors.New("never"))
			}
			return nil
		})
		for i := range 6 {
			if err := r.send(spans(i, i+1)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		r.wantNames(0, 1, 2, 4, 5)
		r.wantBalance(6, 5, 0, 1)
		r.shutdown()
	})
}

func TestDiskKeepsTheRestAtShutdown(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := &Config{Directory: path}
		r := start(t, cfg, func(context.Context, []string) error { return errors.New("down") })
		for i := range 10 {
			if err := r.send(spans(i, i+1)); err != nil {
				t.Fatal(err)
			}
		}
		r.shutdown()
		r.wantBalance(10, 0, 10, 0)
		if err := r.send(spans(10, 11)); err == nil || consumererror.IsPermanent(err) {
			t.Errorf("after Shutdown: got %v, want an error that is not permanent", err)
		}

		r = start(t, cfg, nil)
		if err := r.send(spans(10, 11)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.wantNames(numbers(0, 11)...)
		r.wantBalance(11, 11, 0, 0) // the 10 recovered count as received
		r.shutdown()
	})
}

// Shutdown lets the request in flight end, and begins no other.
func TestShutdownWaitsForTheRequestInFlight(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &Config{Directory: path}, func(ctx context.Context, _ []string) error {
			select {
			case <-time.After(shutdownGrace / 2):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		for i := range 3 {
			if err := r.send(spans(i, i+1)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		r.shutdown()
		r.wantNames(0)
		r.wantBalance(3, 1, 2, 0)
	})
}

// A next hop that hangs holds Shutdown up for a bounded time.
func TestShutdownCutsAHangingRequest(t *testing.T) {
	eachMedium(t, func(t *testing.T, cfg *Config) {
		r := start(t, cfg, func(ctx context.Context, _ []string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if err := r.send(spans(0, 5)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // until it is in flight
		began := time.Now()
		r.shutdown()
		if took := time.Since(began); took != shutdownGrace {
			t.Errorf("Shutdown took %v, want %v", took, shutdownGrace)
		}
		if cfg.Directory != "" {
			r.wantBalance(5, 0, 5, 0)
			return
		}
		r.wantBalance(5, 0, 0, 5)
		r.want("crowsnest_dropped_items", 5, "reason", "shutdown")
	})
}

func TestMemoryIsSentAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := time.Now().Add(3 * time.Second)
		r := start(t, &Config{}, func(context.Context, []string) error {
			if time.Now().Before(up) {
				return errors.New("down")
			}
			return nil
		})
		for i := range 10 {
			if err := r.send(spans(i, i+1)); err != nil {
				t.Fatal(err)
			}
		}
		r.shutdown()
		r.wantNames(numbers(0, 10)...)
		r.wantBalance(10, 10, 0, 0)
	})
}

func TestOverBound(t *testing.T) {
	eachMedium(t, func(t *testing.T, cfg *Config) {
		cfg.MaxBytes = minBytes
		r := start(t, cfg, func(ctx context.Context, _ []string) error { <-ctx.Done(); return ctx.Err() })
		const sent = 300_000
		for i := 0; i < sent; i += 1000 {
			if err := r.send(spans(i, i+1000)); err != nil {
				t.Fatal(err)
			}
		}
		lost := r.get("crowsnest_dropped_items", "reason", "queue_full")
		if lost == 0 {
			t.Error("nothing was given up")
		}
		r.wantBalance(sent, 0, sent-lost, lost)
		if got := r.gauge("crowsnest_spool_bytes"); got <= 0 || got > minBytes {
			t.Errorf("spool has %v bytes, want at most %d", got, minBytes)
		}
		// One request of more than a quarter.
		err := r.send(spans(0, 50_000))
		if !consumererror.IsPermanent(err) || !strings.Contains(err.Error(), "quarter of max_bytes") {
			t.Errorf("got %v, want a permanent error", err)
		}
		r.want("crowsnest_dropped_items", 50_000, "reason", "too_large")
		r.shutdown()
	})
}

func (r *running) gauge(name string) float64 {
	r.t.Helper()
	m, err := r.tel.GetMetric(name)
	if err != nil {
		r.t.Fatal(err)
	}
	switch data := m.Data.(type) {
	case metricdata.Gauge[int64]:
		return float64(data.DataPoints[0].Value)
	case metricdata.Gauge[float64]:
		return data.DataPoints[0].Value
	}
	r.t.Fatalf("%s is no gauge", name)
	return 0
}

func TestGauges(t *testing.T) {
	eachMedium(t, func(t *testing.T, cfg *Config) {
		r := start(t, cfg, func(ctx context.Context, _ []string) error { <-ctx.Done(); return ctx.Err() })
		if got := r.gauge("crowsnest_spool_oldest_entry_age_seconds"); got != 0 {
			t.Errorf("empty spool has an entry of age %v", got)
		}
		for i := range 3 {
			if err := r.send(spans(i, i+1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
		}
		if got := r.gauge("crowsnest_spool_oldest_entry_age_seconds"); got != 60 {
			t.Errorf("oldest entry has age %v, want 60", got)
		}
		if got := r.gauge("crowsnest_spool_segments"); got != 1 {
			t.Errorf("spool has %v segments, want 1", got)
		}
		r.shutdown()
	})
}

// What cannot be written is sent on at once if the next hop takes it, else it
// is handed back; and the spool goes on when it can.
func TestFullDisk(t *testing.T) {
	if !alone(t) {
		return
	}
	path := t.TempDir()
	var down atomic.Bool
	r := start(t, &Config{Directory: path}, func(context.Context, []string) error {
		if down.Load() {
			return errors.New("away")
		}
		return nil
	})
	lift := limitFiles(t, 20)
	if err := r.send(spans(0, 3)); err != nil {
		t.Errorf("the next hop is up, and still: %v", err)
	}
	r.wantNames(0, 1, 2)
	r.wantBalance(3, 3, 0, 0)
	down.Store(true)
	err := r.send(spans(3, 10))
	lift()
	if err == nil || consumererror.IsPermanent(err) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names the file and is not permanent", err)
	}
	r.want("crowsnest_spool_refused_items", 3+7, "reason", "write")
	r.wantBalance(3, 3, 0, 0)
	if err := r.send(spans(3, 10)); err != nil {
		t.Error(err)
	}
	r.shutdown()
	r.want("crowsnest_received_items", 10)
}

func TestUnusableDirectory(t *testing.T) {
	factory := NewFactory()
	set := processortest.NewNopSettings(factory.Type())
	next, err := consumer.NewTraces(func(context.Context, ptrace.Traces) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	p, err := factory.CreateTraces(t.Context(), set, &Config{Directory: "/dev/null/spool"}, next)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ConsumeTraces(t.Context(), spans(0, 1)); err == nil || consumererror.IsPermanent(err) {
		t.Errorf("before Start: got %v, want an error that is not permanent", err)
	}
	if err := p.Start(t.Context(), componenttest.NewNopHost()); err == nil || !strings.Contains(err.Error(), "/dev/null") {
		t.Errorf("got %v, want an error that names the directory", err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Entries that carry a good checksum and are not OTLP cost nothing but themselves.
func TestForeignEntries(t *testing.T) {
	path := t.TempDir()
	q, _ := openQueue(t, filepath.Join(path, "spool-traces"), diskBytes)
	for i := range 5 {
		payload, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(spans(i, i+1))
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			payload = []byte("\xff\xff\xff")
		}
		if err := q.append(payload, 1); err != nil {
			t.Fatal(err)
		}
	}
	closeQueue(t, q)
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &Config{Directory: path}, nil)
		synctest.Wait()
		r.wantNames(0, 1, 3, 4)
		r.wantBalance(5, 4, 0, 1)
		r.shutdown()
	})
}

// Metrics and logs come out as they went in.
func TestOtherSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := processortest.NewNopSettings(NewFactory().Type())
		md, ld := pmetric.NewMetrics(), plog.NewLogs()
		m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("up")
		m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(1)
		ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("line")

		var gotMetrics, gotLogs []byte
		nextMetrics, err1 := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) (err error) {
			gotMetrics, err = (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
			return err
		})
		nextLogs, err2 := consumer.NewLogs(func(_ context.Context, ld plog.Logs) (err error) {
			gotLogs, err = (&plog.JSONMarshaler{}).MarshalLogs(ld)
			return err
		})
		pm, err3 := NewFactory().CreateMetrics(t.Context(), set, &Config{}, nextMetrics)
		pl, err4 := NewFactory().CreateLogs(t.Context(), set, &Config{}, nextLogs)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		for _, p := range []component.Component{pm, pl} {
			if err := p.Start(t.Context(), componenttest.NewNopHost()); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(pm.ConsumeMetrics(t.Context(), md), pl.ConsumeLogs(t.Context(), ld)); err != nil {
			t.Fatal(err)
		}
		for _, p := range []component.Component{pm, pl} {
			if err := p.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		wantMetrics, err1 := (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
		wantLogs, err2 := (&plog.JSONMarshaler{}).MarshalLogs(ld)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if string(gotMetrics) != string(wantMetrics) {
			t.Errorf("got %s, want %s", gotMetrics, wantMetrics)
		}
		if string(gotLogs) != string(wantLogs) {
			t.Errorf("got %s, want %s", gotLogs, wantLogs)
		}
	})
}

// Many senders at once, a next hop that fails now and then, both media.
func TestConcurrentSenders(t *testing.T) {
	for _, cfg := range []*Config{{}, {Directory: t.TempDir()}} {
		var calls int
		r := start(t, cfg, func(context.Context, []string) error {
			if calls++; calls%10 == 3 {
				return errors.New("now and then")
			}
			return nil
		})
		var senders sync.WaitGroup
		for s := range 8 {
			senders.Go(func() {
				for i := range 50 {
					if err := r.send(spans(s*1000+i, s*1000+i+1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		senders.Wait()
		for len(r.hop.names()) < 400 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		r.shutdown()
		r.wantBalance(400, 400, 0, 0)
		seen := map[string]bool{}
		for _, name := range r.hop.names() {
			if seen[name] {
				t.Errorf("span %s came twice", name)
			}
			seen[name] = true
		}
	}
}

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		`max_bytes is 1000`:       {MaxBytes: 1000},
		`max_bytes is -1`:         {MaxBytes: -1},
		`directory is "relative"`: {Directory: "relative"},
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if err := defaultConfig().(*Config).Validate(); err != nil {
		t.Error(err)
	}
}
