package kubelet

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// sink is the pipeline behind the receiver.
type sink struct {
	mu  sync.Mutex
	got []pmetric.Metrics
	err error
}

func (*sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *sink) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.got = append(s.got, md)
	}
	return s.err
}

// last gives the last scrape's series without their times and without those
// that describe the scrape, and "up".
func (s *sink) last(t *testing.T) (series []string, up string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		t.Fatal("nothing was sent")
	}
	for _, line := range flatten(s.lastScrape()) {
		line = line[:strings.LastIndexByte(line, ' ')]
		if value, ok := strings.CutPrefix(line, `{__name__="up"} `); ok {
			up = value
		} else if !strings.HasPrefix(line, `{__name__="scrape_`) {
			series = append(series, line)
		}
	}
	return series, up
}

// lastScrape joins the requests of the last scrape: those after the one before
// it, which ended with "up".
func (s *sink) lastScrape() pmetric.MetricSlice {
	all := pmetric.NewMetricSlice()
	for i := len(s.got) - 1; i >= 0; i-- {
		metrics := metricsOf(s.got[i])
		if i < len(s.got)-1 && has(metrics, "up") {
			break
		}
		for _, m := range metrics.All() {
			m.CopyTo(all.AppendEmpty())
		}
	}
	return all
}

func metricsOf(md pmetric.Metrics) pmetric.MetricSlice {
	return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
}

func has(metrics pmetric.MetricSlice, name string) bool {
	for _, m := range metrics.All() {
		if m.Name() == name {
			return true
		}
	}
	return false
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}

// rig is a receiver before a kubelet that answers each path by a handler.
type rig struct {
	*kubeletReceiver
	server    *httptest.Server
	sink      *sink
	logs      *observer.ObservedLogs
	telemetry *componenttest.Telemetry
}

func newRig(t testing.TB, handler http.Handler, change func(*Config)) *rig {
	t.Helper()
	r := &rig{sink: &sink{}, telemetry: componenttest.NewTelemetry()}
	r.server = httptest.NewUnstartedServer(handler)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail by design
	r.server.EnableHTTP2 = true
	r.server.StartTLS()
	t.Cleanup(r.server.Close)
	t.Cleanup(func() { _ = r.telemetry.Shutdown(context.Background()) })

	cfg := NewFactory().CreateDefaultConfig().(*Config)
	cfg.Client.Endpoint = r.server.URL
	cfg.Client.TLS.CAFile = filepath.Join(t.TempDir(), "ca.crt")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	if err := os.WriteFile(cfg.Client.TLS.CAFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Drop = nil // most tests want all of their page
	if change != nil {
		change(cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = r.telemetry.NewTelemetrySettings()
	core, logs := observer.New(zapcore.InfoLevel)
	set.Logger, r.logs = zap.New(core), logs
	made, err := NewFactory().CreateMetrics(t.Context(), set, cfg, r.sink)
	if err != nil {
		t.Fatal(err)
	}
	r.kubeletReceiver = made.(*kubeletReceiver)
	t.Cleanup(func() { _ = r.Shutdown(context.Background()) })
	return r
}

// page makes the endpoint of one path, to be scraped by hand.
func (r *rig) page(t testing.TB, path string) *endpoint {
	t.Helper()
	client, err := r.client(t.Context(), componenttest.NewNopHost())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	base := strings.TrimPrefix(r.server.URL, "https://")
	e := r.endpoint(mustURL(t, r.cfg.Client.Endpoint), path, client)
	if e.instance != base {
		t.Errorf("instance is %q, want %q", e.instance, base)
	}
	return e
}

// failed checks that the one scrape so far failed, as outcome, and that the log says all of it.
func (r *rig) failed(t *testing.T, outcome string, says ...string) {
	t.Helper()
	if _, up := r.sink.last(t); up != "0" {
		t.Errorf("up is %q, want 0", up)
	}
	if n := counters.Sum(t, r.telemetry, "crowsnest_kubelet_scrapes", "outcome", outcome); n != 1 {
		t.Errorf("%d scrapes counted as %s, want 1", n, outcome)
	}
	logged := fmt.Sprint(r.logs.FilterLevelExact(zapcore.WarnLevel).All())
	if r.logs.Len() == 1 {
		logged = fmt.Sprint(r.logs.All()[0].ContextMap()["error"])
	}
	for _, say := range says {
		if !strings.Contains(logged, say) {
			t.Errorf("log does not say %q: %s", say, logged)
		}
	}
}
