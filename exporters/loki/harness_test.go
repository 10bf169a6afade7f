package loki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// harness is a running exporter and what it counts and logs.
type harness struct {
	exporter.Logs
	reader *sdkmetric.ManualReader
	logs   *observer.ObservedLogs
}

func startExporter(t testing.TB, cfg *Config) *harness {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	h := &harness{reader: sdkmetric.NewManualReader()}
	set := exportertest.NewNopSettings(component.MustNewType("loki"))
	set.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(h.reader))
	var core zapcore.Core
	core, h.logs = observer.New(zap.ErrorLevel)
	set.Logger = zap.New(core)
	x, err := NewFactory().CreateLogs(t.Context(), set, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	h.Logs = x
	t.Cleanup(func() {
		if err := h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// counts gives every counter of the exporter that is not zero, as name or
// name{value of its one own attribute}.
func (h *harness) counts(t testing.TB) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := h.reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int64)
	for _, sm := range all.ScopeMetrics {
		for _, m := range sm.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || !strings.HasPrefix(m.Name, "crowsnest_") {
				continue
			}
			for _, p := range sum.DataPoints {
				name := strings.TrimPrefix(m.Name, "crowsnest_")
				for _, key := range []string{"reason", "code"} {
					for _, kv := range p.Attributes.ToSlice() {
						if string(kv.Key) == key {
							name += "{" + kv.Value.AsString() + "}"
						}
					}
				}
				if p.Value != 0 && m.Name != "crowsnest_loki_request_bytes" {
					got[name] = p.Value
				}
			}
		}
	}
	return got
}

func (h *harness) wantCounts(t *testing.T, want map[string]int64) {
	t.Helper()
	if diff := cmp.Diff(want, h.counts(t)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func testConfig(endpoint string) *Config {
	cfg := defaults()
	cfg.ClientConfig.Endpoint = endpoint
	cfg.Retry.InitialInterval = time.Millisecond
	cfg.Retry.MaxInterval = 2 * time.Millisecond
	return cfg
}

// faultyLoki takes pushes over HTTP, asks fault for an answer (0: 204) and
// keeps what it took: it makes the faults that a real Loki does not produce on
// demand; what a real one does is tested in store_test.go.
type faultyLoki struct {
	fault func(n int, w http.ResponseWriter, r *http.Request, req *push.PushRequest) int

	mu       sync.Mutex
	requests int
	taken    map[string]int // line by number of times
	tenants  map[string]int // pushes taken
}

func (l *faultyLoki) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var req push.PushRequest
	raw, err := snappy.Decode(nil, body)
	if err == nil {
		err = req.Unmarshal(raw)
	}
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, fmt.Sprintf("not a push: %v", err), http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	l.requests++
	n := l.requests
	l.mu.Unlock()
	if l.fault != nil {
		if code := l.fault(n, w, r, &req); code != 0 {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil {
		l.taken, l.tenants = make(map[string]int), make(map[string]int)
	}
	l.tenants[r.Header.Get(tenantHeader)]++
	for _, s := range req.Streams {
		for _, e := range s.Entries {
			l.taken[e.Line]++
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// wantOnce checks that each line in [0, n) was taken exactly once but those in except.
func (l *faultyLoki) wantOnce(t *testing.T, n int, except ...int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		want := 1
		if slices.Contains(except, i) {
			want = 0
		}
		if got := l.taken[lineOf(i)]; got != want {
			t.Errorf("line %d was taken %d times, want %d", i, got, want)
		}
	}
}

func (l *faultyLoki) start(t *testing.T) *Config {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return testConfig(server.URL)
}

func lineOf(i int) string { return fmt.Sprintf("line %d", i) }

// logs makes n records of now in each of so many streams, numbered throughout.
func logs(streams, n int) plog.Logs {
	ld := plog.NewLogs()
	start, i := time.Now(), 0
	for s := range streams {
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("k8s.namespace.name", fmt.Sprintf("ns-%d", s))
		records := rl.ScopeLogs().AppendEmpty().LogRecords()
		for range n {
			r := records.AppendEmpty()
			r.SetTimestamp(pcommon.NewTimestampFromTime(start.Add(time.Duration(i))))
			r.Body().SetStr(lineOf(i))
			i++
		}
	}
	return ld
}

func fail(w http.ResponseWriter, code int, text string) int {
	http.Error(w, text, code)
	return code
}

// pipeNetwork is a listener whose connections are net.Pipes.
type pipeNetwork struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeNetwork() *pipeNetwork {
	return &pipeNetwork{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipeNetwork) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipeNetwork) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, errors.New("closed")
	}
}

func (p *pipeNetwork) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipeNetwork) Addr() net.Addr { return &net.TCPAddr{} }
