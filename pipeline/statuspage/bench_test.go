package statuspage

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
)

func batchOfLogs(n int) plog.Logs {
	ld := record("shop", "frontend-1", "web", "")
	records := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	for i := range n {
		r := records.AppendEmpty()
		r.Body().SetStr(fmt.Sprintf(`{"ts":"2026-01-02T03:04:05Z","level":"info","msg":"request done","path":"/api/v1/items/%d"}`, i))
	}
	return ld
}

func startLogsTap(b testing.TB, page *Page) func(plog.Logs) {
	f := NewTapFactory()
	tap, err := f.CreateLogs(context.Background(), processortest.NewNopSettings(f.Type()), f.CreateDefaultConfig(), consumertest.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	if err := tap.Start(context.Background(), host{page}); err != nil {
		b.Fatal(err)
	}
	return func(ld plog.Logs) {
		if err := tap.ConsumeLogs(context.Background(), ld); err != nil {
			b.Fatal(err)
		}
	}
}

// What everybody pays while nobody tails.
func BenchmarkLogsTap(b *testing.B) {
	page, _ := startPage(b, nil)
	consume, ld := startLogsTap(b, page), batchOfLogs(1000)
	b.ReportAllocs()
	for b.Loop() {
		consume(ld)
	}
}

// What a tail costs that matches nothing, and one that is shown everything.
func BenchmarkLogsTapWithATail(b *testing.B) {
	for name, f := range map[string]filter{"other namespace": {namespace: "data"}, "other text": {text: "nowhere"}, "all, not read": {}} {
		b.Run(name, func(b *testing.B) {
			page, _ := startPage(b, nil)
			consume, ld := startLogsTap(b, page), batchOfLogs(1000)
			t, err := page.tails.add(f)
			if err != nil {
				b.Fatal(err)
			}
			defer page.tails.remove(t)
			b.ReportAllocs()
			for b.Loop() {
				consume(ld)
			}
		})
	}
}

func startMetricsTap(b testing.TB, page *Page) func(pmetric.Metrics) {
	f := NewTapFactory()
	tap, err := f.CreateMetrics(context.Background(), processortest.NewNopSettings(f.Type()), f.CreateDefaultConfig(), consumertest.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	if err := tap.Start(context.Background(), host{page}); err != nil {
		b.Fatal(err)
	}
	return func(md pmetric.Metrics) {
		if err := tap.ConsumeMetrics(context.Background(), md); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMetricsTap(b *testing.B) {
	var samples []sample
	for i := range 1000 {
		samples = append(samples, sample{fmt.Sprintf("container_metric_%d", i), map[string]string{"pod": "a"}, 1})
	}
	var own []sample
	for _, fate := range []string{"received", "delivered", "queued"} {
		for _, component := range []string{"containerlogs", "otlp", "kubelet", "spool/metrics"} {
			for _, signal := range signalNames {
				own = append(own, items(fate, signal, component, 1e6))
			}
		}
	}
	for name, md := range map[string]pmetric.Metrics{
		"kubelet": reading("kubelet", "node-1", time.Now(), samples...), // passes by
		"agent":   reading(agentJob, "node-1", time.Now(), own...),      // is read: 36 series
	} {
		b.Run(name, func(b *testing.B) {
			page, _ := startPage(b, nil)
			consume := startMetricsTap(b, page)
			consume(md)
			b.ReportAllocs()
			for b.Loop() {
				consume(md)
			}
		})
	}
}

// TestTapAllocatesNothing is what the benchmarks say, as a condition.
func TestTapAllocatesNothing(t *testing.T) {
	page, _ := startPage(t, nil)
	logs, ld := startLogsTap(t, page), batchOfLogs(100)
	metrics, md := startMetricsTap(t, page), reading(agentJob, "node-1", time.Now(), items("received", "logs", "c", 5))
	for name, f := range map[string]func(){"logs": func() { logs(ld) }, "metrics": func() { metrics(md) }} {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations per batch", name, n)
		}
	}
}

// BenchmarkPage renders what a large cluster has.
func BenchmarkPage(b *testing.B) {
	page, address := startPage(b, nil)
	for i := range 5000 {
		page.roster.read(reading(agentJob, fmt.Sprintf("node-%d", i), time.Now(), items("received", "logs", "c", 5), items("delivered", "logs", "otlp", 5)), time.Now())
	}
	_ = address
	b.ReportAllocs()
	for b.Loop() {
		s := page.status(b.Context())
		if len(s.Agents) != 5000 {
			b.Fatal(len(s.Agents))
		}
	}
}
