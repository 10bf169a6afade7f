package node

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

// TestLifecycle starts and stops a receiver of this machine.
func TestLifecycle(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	r.probes = nil // Start makes them
	if err := r.Shutdown(t.Context()); err != nil {
		t.Errorf("shut down without start: %v", err)
	}
	r.cfg.CollectionInterval = time.Second
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		time.Sleep(20 * time.Millisecond)
		out.mu.Lock()
		n := len(out.got)
		out.mu.Unlock()
		if n > 0 {
			break
		}
	}
	for range 2 {
		if err := r.Shutdown(t.Context()); err != nil {
			t.Errorf("shut down: %v", err)
		}
	}
	if c := out.last(t); !c.has("node_load1") || c.values["up"] != 1 {
		t.Error("collection is not whole")
	}
}

// TestHang has two collectors hang: those behind them still run, they are not
// started a second time, and Shutdown does not wait for them for ever.
func TestHang(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	core, logs := observer.New(zap.InfoLevel)
	r.logger = zap.New(core)
	r.complaints = complaint.New(r.logger, complaint.Interval)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var started atomic.Int64
		var hanging []*probe
		for _, name := range []string{"first", "second"} {
			p := r.probe(name)
			p.collector = faulty{func(to chan<- prometheus.Metric) error {
				started.Add(1)
				<-release
				to <- prometheus.MustNewConstMetric(faultyDesc, prometheus.GaugeValue, 1, name)
				return nil
			}}
			p.metrics, p.result = make(chan prometheus.Metric, 1), make(chan result, 1)
			hanging = append(hanging, p)
		}
		healthy := r.probe("healthy")
		healthy.collector = faulty{func(to chan<- prometheus.Metric) error {
			to <- prometheus.MustNewConstMetric(faultyDesc, prometheus.GaugeValue, 2, "healthy")
			return nil
		}}
		r.probes = append(slices.Clone(hanging), healthy)
		for range 3 {
			begun := time.Now()
			r.collect(context.Background())
			if took := time.Since(begun); took > r.cfg.timeout() {
				t.Errorf("collection took %v", took)
			}
			c := out.last(t)
			c.want(t, `node_faulty{text="healthy"}`, 2)
			c.want(t, `node_scrape_collector_success{collector="first"}`, 0)
			c.want(t, `node_scrape_collector_success{collector="second"}`, 0)
			time.Sleep(15 * time.Second)
		}
		if n := started.Load(); n != 2 {
			t.Errorf("two collectors were started %d times", n)
		}
		begun := time.Now()
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != patience {
			t.Errorf("shutdown took %v, want %v", took, patience)
		}
		if n := logs.FilterMessageSnippet("left to the end of the process").Len(); n != 1 {
			t.Errorf("log says %d times that collectors are left", n)
		}
		close(release)
		synctest.Wait()
		r.collect(context.Background())
		c := out.last(t)
		c.want(t, `node_faulty{text="first"}`, 1)
		c.want(t, `node_scrape_collector_success{collector="second"}`, 1)
		for message, want := range map[string]int{"Collector hangs": 2, "Collector that hung has ended": 2} {
			if n := logs.FilterMessageSnippet(message).Len(); n != want {
				t.Errorf("log says %d times %q, want %d", n, message, want)
			}
		}
	})
	if n := logs.FilterMessageSnippet("Collector hangs").Len(); n != 2 {
		t.Errorf("log says %d times that a collector hangs, want once for each", n)
	}
}
