// Package pipeline assembles the two programs and is the map of the system.
//
// # Flow
//
//	node ──────────────────────────────────────────────┐
//	 /var/log/pods ──► receivers/containerlogs ─┐      │
//	 kubelet :10250 ─► receivers/kubelet ───────┤      │
//	 /proc, /sys ────► receivers/node ──────────┤      │
//	 CRI socket ─────► receivers/terminations,  │      │
//	                   receivers/cri ───────────┤      │
//	 own pods ───────► receivers/kubestate,     │      │
//	                   receivers/scrape ────────┼► kubeattrs ─► spool ─► otlp ══╗
//	 apps' OTLP, Jaeger, Zipkin ► upstream ─────┘      │  (not logs)            ║
//	                                  ▲                │                        ║
//	           kubepods: pods of this node             │   crowsnest-aggregator ▼
//	                                                   │          otlp receiver
//	   leader only: receivers/kubestate (cluster), ──► │   ┌───────────┼────────────┐
//	   receivers/scrape (API servers),                 │ exporters/  exporters/  exporters/
//	   receivers/kubeevents                            │   loki      prometheus    jaeger
//	                                                   │               ▲            │ then
//	                                                   │               └─ span metrics ◄ sequence
//
// Both programs are OpenTelemetry Collector distributions: packages
// agent and aggregator list the components that each links, the YAML files beside
// them are their default configurations, one file for each signal or source,
// served as embedded:<program>/<fragment> (embedded.go). run.go is the command
// line and its exit codes. Which of several aggregators an agent is with,
// rendezvous decides.
//
// # Who owns the data, hop by hop
//
// A call to ConsumeLogs, ConsumeMetrics or ConsumeTraces that returns nil means
// that the next hop owns the data durably; an error that is not permanent means
// that the caller still owns it.
//
//   - Logs: the log file owns them until the store has them. containerlogs
//     stores an offset after ConsumeLogs returned nil, the agent's OTLP exporter
//     returns after the aggregator answered, the aggregator's OTLP receiver
//     answers after exporters/loki returned, and that returns after Loki's 2xx.
//     Nothing in between queues.
//   - Events: the API server owns them, for an hour. kubeevents notes in a Lease
//     up to which of them ConsumeLogs returned nil.
//   - Metrics and traces: the sender owns them until the agent's spool took
//     them; the spool until the aggregator answered; the aggregator answers
//     after Prometheus or Jaeger did. Only the spool queues.
//   - kill -9 anywhere repeats what was not acknowledged and loses nothing that
//     was. Loki drops exact duplicates; Prometheus ignores a sample it has;
//     Jaeger may show a span twice.
//
// # The ledger
//
// account.go wraps every receiver (received) and every upstream exporter
// (delivered, dropped); our own exporters and the spool keep their accounts
// themselves. Package ledger says what must add up.
//
// # Dependency direction
//
// cmd → pipeline/{agent,aggregator} → {pipeline, receivers/*, exporters/*,
// other pipeline/*, dashboards/*} → kubemeta → {kubeapi, ledger, complaint, cadence,
// criapi, exposition, extensions} → libraries; never sideways, never up. The test in the module's root asserts it.
package pipeline
