// Package loki is the exporter "loki": log records to Grafana Loki's push API
// (protobuf and snappy).
//
// # What becomes of a record
//
// The configured labels make its stream; by default cluster, namespace, pod,
// container, service_name, node and stream. The body is the line (a value other
// than a string as JSON). Everything else is structured metadata, under names
// as Loki writes them (k8s.pod.uid is k8s_pod_uid): attributes of resource,
// scope and record, trace_id, span_id, severity, severity_number, event_name.
// Of two attributes with one name the resource's wins. A record without a time
// gets that of its observation. A line over 256 KiB is cut and carries
// truncated="true"; metadata over Loki's 64 KiB or 128 entries (16 KiB and 96 for
// resource and scope) is left out; both are counted. A label's value is cut to
// 2048 bytes.
//
// # Guarantees
//
// ConsumeLogs returns nil when Loki has acknowledged every record or refused it
// for good; the latter are counted by reason in the ledger and logged once per
// minute and reason. There is no queue: while Loki is away, busy (429, 5xx) or
// misconfigured (401, 403, 404, a redirect, a web page), ConsumeLogs waits and
// tries again until its context ends. What Loki took stays taken meanwhile: a
// retry sends only the rest of the batch.
//
// A 2xx for several streams does not say that Loki took each of them (see
// standing), so a stream whose refusal could be hidden is pushed alone: new and
// idle ones, old entries, loud ones.
//
// A repeated push does not show: Loki drops an entry equal to one it has in the
// same stream. For the same reason two lines that a container wrote with equal
// text and equal nanosecond are one line in Loki. Entries of a stream arrive in
// time order, those of equal time in the order they came.
//
// Two things can be counted as dropped although Loki has them: if an answer is
// lost on the way (a timeout) and the entries of that stream span more than
// Loki's out-of-order window of an hour, the repetition is refused as
// too_far_behind; and entries within the second of a too-old limit.
//
// One loss cannot be seen from here: a stream so loud that Loki splits it into
// shards may have one shard refused for its rate under a 204.
//
// # Cost
//
// On a two-core machine, idle to busy: 0.3 to 0.9 µs of CPU and 150 B of garbage
// per record of 216 B with an identity of 15 attributes (BenchmarkEncode), 0.8
// to 3 µs with HTTP on loopback and its
// server if every one of 100 streams goes alone (BenchmarkConsumeLogs). Memory
// for each ConsumeLogs call: 32 B per record besides the records, up to 8 MiB
// while a push is encoded, its compressed body while it is under way.
package loki
