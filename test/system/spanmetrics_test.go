package system

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
)

// While Jaeger is away the agent repeats its spans: the calls must be counted
// once all the same, and Jaeger's Monitor tab must show them.
func TestSpanMetricsCountEachSpanOnce(t *testing.T) {
	s := startSystem(t, Options{MetricsInterval: 5 * time.Second, Node: nodesim.Config{LinesPerSecond: 50, TracesPerSecond: 5, Seed: 6}})
	sleepOut(t, 5*time.Second)
	if err := s.Jaeger.Pause(); err != nil {
		t.Fatal(err)
	}
	// Longer than the agent's timeout, so that it sends again.
	sleepOut(t, 40*time.Second)
	if err := s.Jaeger.Resume(); err != nil {
		t.Fatal(err)
	}
	drainAll(t, s)
	want := 0
	for _, trace := range s.Node.Traces() {
		want += len(trace.Spans)
	}
	var last string
	eventuallyOr(t, func() bool {
		calls, err := s.Prometheus.Query(t.Context(), `sum(traces_span_metrics_calls_total{cluster="`+Cluster+`", collector_instance_id="aggregator-0", namespace!=""})`)
		durations, derr := s.Prometheus.Query(t.Context(), `sum(traces_span_metrics_duration_milliseconds_count)`)
		last = fmt.Sprint(calls, err, durations, derr)
		return err == nil && derr == nil && len(calls) == 1 && len(durations) == 1 &&
			int(calls[0].Value) == want && int(durations[0].Value) == want
	}, func() string { return fmt.Sprintf("want %d spans counted, have %s", want, last) })
	eventuallyOr(t, func() bool {
		rates, err := s.Jaeger.CallRate(t.Context(), "frontend")
		last = fmt.Sprint(rates, err)
		return err == nil && slices.Max(append(rates, 0)) > 0
	}, func() string { return "Jaeger's Monitor shows no calls of frontend: " + last })
}
