package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/system"
)

// printGuide tells a person where things are and what to ask.
func printGuide(w io.Writer, s *system.System) {
	fmt.Fprintf(w, `
One simulated node with %d pods -> agent -> aggregator -> Prometheus, Loki, Jaeger.

Status page http://%s   nodes, stores, the ledger, alerts
            http://%s/tail   log lines as they pass

Prometheus  %s
  curl -sG %s/api/v1/query --data-urlencode 'query=sum by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{container!=""}[1m]))'
Loki        %s
  curl -sG %s/loki/api/v1/query_range --data-urlencode 'query={namespace="shop", container="frontend"} | json | level="error"'
Jaeger      %s
  curl -s '%s/api/traces?service=frontend&limit=1'
  its lines, by the trace's id: curl -sG %s/loki/api/v1/query_range --data-urlencode 'query={namespace="shop"} | trace_id="ID"'
Own metrics and ledger
  curl -s http://%s/metrics | grep ^crowsnest_   # agent
  curl -s http://%s/metrics | grep ^crowsnest_   # aggregator

Node's files    %s
Programs' logs  %s
                %s
Processes       agent %d, aggregator %d, prometheus %d, loki %d, jaeger %d

`, len(s.Node.Pods()), s.Aggregator.Status, s.Aggregator.Status, s.Prometheus.URL, s.Prometheus.URL, s.Loki.URL, s.Loki.URL, s.Jaeger.URL, s.Jaeger.URL, s.Loki.URL,
		s.Agent.Metrics, s.Aggregator.Metrics, s.Node.PodsDir, s.Agent.LogPath(), s.Aggregator.LogPath(),
		s.Agent.PID(), s.Aggregator.PID(), s.Prometheus.PID(), s.Loki.PID(), s.Jaeger.PID())
}

// printLedger shows what each program says of itself.
func printLedger(w io.Writer, s *system.System) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Fprintf(w, "\n%-12s%-10s%12s%12s%10s%10s\n", "ledger", "signal", "received", "delivered", "queued", "dropped")
	for _, p := range []struct {
		name    string
		program *system.Program
	}{{"agent", s.Agent}, {"aggregator", s.Aggregator}} {
		ledger, err := p.program.Ledger(ctx)
		if err != nil {
			fmt.Fprintf(w, "%-12s%v\n", p.name, err)
			continue
		}
		for _, signal := range slices.Sorted(maps.Keys(ledger)) {
			b := ledger[signal]
			fmt.Fprintf(w, "%-12s%-10s%12d%12d%10d%10d", p.name, signal, b.Received, b.Delivered, b.Queued, b.Dropped)
			for reason, n := range b.Reasons {
				fmt.Fprintf(w, "  %s %d", reason, n)
			}
			fmt.Fprintln(w)
		}
	}
}
