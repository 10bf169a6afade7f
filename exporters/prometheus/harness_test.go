package prometheus

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// running is a started exporter with its telemetry.
type running struct {
	*metricsExporter
	t    testing.TB
	tel  *componenttest.Telemetry
	logs *observer.ObservedLogs
}

// remoteTo sets remote write with quick retries.
func remoteTo(url, protocol string) func(*Config) {
	return func(c *Config) {
		rw := createDefaultConfig().(*Config).RemoteWrite
		r := *rw.GetOrInsertDefault()
		r.HTTP.Endpoint, r.Protocol = url, protocol
		r.Retry.InitialInterval, r.Retry.MaxInterval = 20*time.Millisecond, 100*time.Millisecond
		c.RemoteWrite = configoptional.Some(r)
	}
}

func tuneRemote(f func(*RemoteWriteConfig)) func(*Config) {
	return func(c *Config) { f(c.RemoteWrite.Get()) }
}

func withRetry(f func(*configretry.BackOffConfig)) func(*Config) {
	return tuneRemote(func(r *RemoteWriteConfig) { f(&r.Retry) })
}

func withPage(c *Config) {
	s := createDefaultConfig().(*Config).Scrape
	server := *s.GetOrInsertDefault()
	server.NetAddr.Endpoint = "127.0.0.1:0"
	c.Scrape = configoptional.Some(server)
}

// start runs an exporter for the time of a test.
func start(t testing.TB, options ...func(*Config)) *running {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	for _, o := range options {
		o(cfg)
	}
	tel := componenttest.NewTelemetry()
	set := exportertest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = tel.NewTelemetrySettings()
	core, logs := observer.New(zap.InfoLevel)
	set.Logger = zap.New(core)
	e, err := newMetricsExporter(set, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	r := &running{metricsExporter: e, t: t, tel: tel, logs: logs}
	t.Cleanup(func() {
		if err := e.shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *running) mustConsume(md pmetric.Metrics) {
	r.t.Helper()
	if err := r.consume(r.t.Context(), md); err != nil {
		r.t.Fatal(err)
	}
}

// counter sums a counter's points that have all the attributes "key", "value", ….
func (r *running) counter(name string, attributes ...string) int64 {
	r.t.Helper()
	return counters.Sum(r.t, r.tel, name, attributes...)
}

// wantLedger checks delivered and dropped data points; drops are "reason", n.
func (r *running) wantLedger(delivered int64, drops map[string]int64) {
	r.t.Helper()
	if got := r.counter("crowsnest_delivered_items"); got != delivered {
		r.t.Errorf("ledger: %d delivered, want %d", got, delivered)
	}
	var all int64
	for reason, n := range drops {
		all += n
		if got := r.counter("crowsnest_dropped_items", "reason", reason); got != n {
			r.t.Errorf("ledger: %d dropped as %s, want %d", got, reason, n)
		}
	}
	if got := r.counter("crowsnest_dropped_items"); got != all {
		r.t.Errorf("ledger: %d dropped in all, want %d", got, all)
	}
}

// eventually polls what another process does in its own time.
func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		if sleep(ctx, 50*time.Millisecond) != nil {
			t.Fatalf("%s: %v", what, errors.Join(err, ctx.Err()))
		}
	}
}
