package kubelet

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter/exportertest"

	promexporter "github.com/crowsnest-o11y/crowsnest/exporters/prometheus"
	"github.com/crowsnest-o11y/crowsnest/test/counters"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// exporterTo is the exporter to a real Prometheus, and its telemetry.
func exporterTo(t *testing.T, store *stores.Prometheus) (consumer.Metrics, *componenttest.Telemetry) {
	t.Helper()
	factory := promexporter.NewFactory()
	cfg := factory.CreateDefaultConfig()
	written := map[string]any{"remote_write": map[string]any{"endpoint": store.URL + "/api/v1/write"}}
	if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	telemetry := componenttest.NewTelemetry()
	set := exportertest.NewNopSettings(factory.Type())
	set.TelemetrySettings = telemetry.NewTelemetrySettings()
	exporter, err := factory.CreateMetrics(t.Context(), set, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := exporter.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := exporter.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		_ = telemetry.Shutdown(context.Background())
	})
	return exporter, telemetry
}

// agedBy moves all times of the page so that the newest is so long ago.
func agedBy(t *testing.T, body string, age time.Duration) string {
	t.Helper()
	newest := int64(0)
	for _, found := range ownTime.FindAllString(body, -1) {
		at, err := strconv.ParseInt(found[1:], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		newest = max(newest, at)
	}
	by := time.Now().Add(-age).UnixMilli() - newest
	return ownTime.ReplaceAllStringFunc(body, func(found string) string {
		at, _ := strconv.ParseInt(found[1:], 10, 64)
		return fmt.Sprint(" ", at+by)
	})
}

// TestPageAgainAfterFailure has cAdvisor give the same values before and after
// a scrape that fails, as it does when it has not looked anew meanwhile. A real
// Prometheus must have all series again with the next page, and refuse nothing.
func TestPageAgainAfterFailure(t *testing.T) {
	store := stores.TestPrometheus(t, stores.Options{})
	exporter, telemetry := exporterTo(t, store)
	r := newRig(t, text(""), nil)
	e := r.page(t, "/metrics/cadvisor")
	e.next = exporter

	body := string(capture(t, "metrics-cadvisor.txt"))
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) })
	old, newer := text(agedBy(t, body, 10*time.Second)), text(agedBy(t, body, time.Second))
	all := len(want(t, body, false))
	for i, step := range []struct {
		answer http.Handler
		series int
	}{{old, all}, {broken, 0}, {broken, 0}, {old, all}, {old, all}, {broken, 0}, {old, all}, {newer, all}, {text(""), 0}, {newer, all}} {
		r.server.Config.Handler = step.answer
		e.scrape(t.Context())
		got, err := store.Query(t.Context(), `count({metrics_path="/metrics/cadvisor",__name__!~"up|scrape_.*"}) or vector(0)`)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Value != float64(step.series) {
			t.Errorf("step %d: series %v, want %d", i, got, step.series)
		}
	}
	if n := counters.Sum(t, telemetry, "crowsnest_dropped_items"); n != 0 {
		t.Errorf("%d points counted as dropped, of which the store lacks none", n)
	}
	if n := counters.Sum(t, telemetry, "crowsnest_delivered_items"); n < int64(7*all) {
		t.Errorf("%d points counted as delivered, want those of seven pages at least, %d each", n, all)
	}
}
