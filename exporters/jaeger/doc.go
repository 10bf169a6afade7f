// Package jaeger is the exporter of spans to Jaeger.
//
// Protocols: OTLP over gRPC (Jaeger 1.35 and later, every Jaeger v2) or Jaeger's
// own api_v2 CollectorService.PostSpans, translated by contrib's
// pkg/translator/jaeger. Over api_v2 a resource is a request of its own, since a
// batch has one process.
//
// Guarantee: ConsumeTraces returns nil when Jaeger has answered for every span:
// taken, or refused for good. Refused spans are found by bisecting the request,
// counted in the ledger with a reason and logged; the others are delivered.
// Everything else (a dead or busy Jaeger, wrong credentials, a port that speaks
// another protocol) is retried without a limit in time, resuming at the first
// request not yet answered, until the caller gives up. There is no queue here.
// A caller that gives up and sends again repeats spans that were taken; Jaeger
// tells spans apart by id.
//
// What Jaeger does with spans it took is outside this guarantee. Jaeger v1 puts
// them into a queue in memory and answers at once; when that queue is full
// (--collector.queue-size, 2000 spans by default) it drops spans and still answers
// with success. Measured with v1.62: of 40,000 spans sent at once and answered for,
// 7,009 were stored; all of them with --collector.queue-size=100000. No answer tells,
// so set the queue larger than a burst and watch jaeger_collector_spans_dropped_total.
// Jaeger v2 has no such queue.
//
// Requests stay within 4 MiB, the limit of gRPC servers and of Jaeger
// (--collector.otlp.grpc.max-message-size). A span that alone is larger is
// dropped with reason too_large. Where Jaeger's limit is smaller, requests that
// it refuses for their size are halved until they fit.
//
// A resource without service.name shows in Jaeger as "OTLPResourceNoServiceName"
// when it has no attributes at all, else under the name by which Jaeger
// replaces an empty one ("empty-service-name" in v1).
//
// Cost: see BenchmarkExport; per span about one protobuf marshalling.
package jaeger
