// Package prometheus exports metrics to Prometheus: by remote write, on a page
// that Prometheus scrapes, or both.
//
// # Names and labels
//
// Metrics that a receiver read from a Prometheus exposition (metadata
// "prometheus.type") keep their names and labels verbatim; job, instance,
// metrics_path, node, cluster, namespace, pod and container come from the
// resource where the data point has no label of that name. A label that the
// exposition gives with an empty value counts as present: cAdvisor's container=""
// marks a pod's cgroup and must not become the exporter's idea of a container.
// Metrics with OpenTelemetry names are translated by otlptranslator (unit and
// _total suffixes), get the same identity labels and the scope's name and
// version; the resource's other attributes are in target_info. Bucket bounds
// and quantiles are written as Prometheus 3 stores them ("1.0", "+Inf"), so
// both outputs make the same series.
//
// Sums and histograms with delta temporality are dropped and counted as
// delta_temporality: Prometheus has nothing to store them in. Ask SDKs for
// cumulative temporality (OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE).
//
// # Remote write
//
// ConsumeMetrics returns nil when every sample was answered with 2xx or refused
// for good; refused data points are isolated by halving the request, counted by
// reason and logged once per cause. There is no queue. What is worth sending
// again (network, 429 with Retry-After, 5xx, and also 401, 403, 404, which mean
// a wrong setting and not wrong data) is sent again until the caller's context
// ends. Series are spread over shards by hash and each shard has one request in
// flight, the retried one included, so the samples of a series arrive in order,
// also when several ConsumeMetrics run at once. A request holds a series at most
// once: Prometheus takes the same sample again as a no-op, so repeating a
// request whose answer was lost neither fails nor doubles anything.
//
// A data point with NoRecordedValue becomes a stale marker for each of its
// series. A series that stopped coming without one gets its marker after
// expire_after, a millisecond after its last sample: one written at the present
// time would make Prometheus refuse a backlog that a slow agent still holds.
// Prometheus rightly refuses the marker of a series that goes on through another
// aggregator; that is not searched for by halving and counts as nothing.
//
// # Scrape page
//
// The page shows the last value of each series, in text, OpenMetrics (with
// exemplars) or protobuf (with native histograms). Scrape it with honor_labels:
// true, for job, instance and namespace are those of the described object.
// Values carry no timestamps: Prometheus gives its staleness handling only to
// samples without them, so that a series that leaves the page ends at the next
// scrape; and agents that push at another interval than Prometheus scrapes would
// make it see one timestamp twice or not at all. Where the exact time of a
// sample matters, use remote write. A series leaves the page with its stale
// marker, or expire_after its last sample. With both outputs, a remote write
// that is away holds back what would come to the page next; two exporters of
// this type, one output each, keep them apart.
//
// # Cost
//
// Every series is kept once, with its last value, for the page and for stale
// markers: about 1.2 kB for a cAdvisor series, bounded by max_bytes. Beyond the
// bound, remote write goes on without stale markers for the series that found no
// place, and a page alone drops them, counted as series_limit. To find refused
// data points takes about two requests for each: a node's page of 13,000 series
// that Prometheus refuses whole costs five seconds, one that it takes 60 ms.
//
// # Ledger
//
// An item is a data point, whatever number of series it becomes; one refused
// series makes its data point a dropped one. With both outputs configured, the
// answer of remote write decides. target_info and the stale markers of expiry
// are made here and are no items.
package prometheus
