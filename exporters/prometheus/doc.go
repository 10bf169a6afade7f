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
// for good; refused data points are found, counted by reason and logged once per
// cause. There is no queue. What is worth sending again (network, 429 with
// Retry-After, 5xx, and also 401, 403, 404, which mean a wrong setting and not
// wrong data) is sent again until the caller's context ends. Series are spread
// over shards by hash and each shard has one request in flight, the retried one
// included, so the samples of a series arrive in order, also when several
// ConsumeMetrics run at once. A request holds a series at most once: Prometheus
// takes the same sample again as a no-op, so repeating a request whose answer was
// lost neither fails nor doubles anything.
//
// Of a refused v1 request Prometheus takes nothing, and does not tell what it
// disliked. Such a request is sent once by v2, of which Prometheus takes the good
// samples, names the others and tells how many it took: one request more, however
// many are refused. Where the receiver does not know v2, fewer samples are sent
// at a time, half after a refusal and twice as many after a success: one request
// for each refused data point where all are, twenty to thirty for a single one.
//
// A data point with NoRecordedValue becomes a stale marker for each of its
// series; so do the buckets or quantiles that a histogram or summary has no more,
// and all of a classic histogram that becomes a native one. No marker is
// written for a series that merely stopped coming: its agent may have moved to
// another aggregator, which writes later samples already, and a marker put among
// them would be a hole. Prometheus itself ends such a series five minutes
// after its last sample.
//
// But one is written for a series whose page came again without it: a pod deleted
// while its node's agent was away, of which the next agent knows nothing. A page is
// known by the resource, of one node, and by "up" 1, which is its end. A series
// that is overdue (see below) ends right behind its last sample when its page was
// completed here since; until then it is remembered, for the five minutes and while
// the table is at most half full. So it ends two of its intervals after its last
// sample or with the agent's first page, whichever is later, if the agent comes back
// to the same aggregator. What is not of one node (kube_*), and a page that comes
// no more, has to wait for Prometheus.
//
// # Expiry
//
// A series expires after two of its own intervals without a sample, and after
// expire_after at the latest, which is also the bound of a series that came only
// once. Its interval is the longer of the gaps between its samples and between
// their arrivals, so that the backlog after an outage, which comes quickly, does
// not look like a short one.
//
// # Scrape page
//
// The page shows the last value of each series, in text, OpenMetrics (with
// exemplars) or protobuf (with native histograms and the times that counters
// began), as the client asks, with gzip if it asks for that. It is written from
// the table a chunk at a time: no more than a buffer is in memory, and data comes
// in meanwhile. More than eight scrapes at once get 503. Scrape it with
// honor_labels: true, for job, instance and namespace are those of the described
// object. Values carry no timestamps: Prometheus gives its staleness handling
// only to samples without them, so that a series that leaves the page ends at the
// next scrape; and agents that push at another interval than Prometheus scrapes
// would make it see one timestamp twice or not at all. Where the exact time of a
// sample matters, use remote write. With both outputs, a remote write that is
// away holds back what would come to the page next; two exporters of this type,
// one output each, keep them apart.
//
// A page has one type and help for a name. Where senders tell different ones, the
// first is shown, the values of all are, and the metric is counted and logged
// once. Numbers cannot share a page with histograms of the same name; those that
// come second are dropped by a page alone, counted as type_conflict.
//
// # Several aggregators
//
// An agent is connected to one aggregator. Were it to move to another one while
// both live, the first would keep its series on the page until they expire: two
// intervals in which Prometheus, which scrapes both, sees the last old value
// beside the new ones and takes that for resets of counters. So with a page,
// agents stay with their aggregator as long as it is there, also when they are
// replaced (pipeline/rendezvous, with a file; the chart sets it when there is a
// page). The page of an aggregator that is gone is gone, too, so that a move from
// there leaves one value of each series. It is on the next page with the next
// sample that its agent sends: scrape twice in an agent's interval, and it is away
// for two intervals at most. What this costs: aggregators that are
// added get only agents that lost theirs. What is left: an agent that cannot reach
// an aggregator that Prometheus can moves, and is on two pages for two intervals.
// Remote write needs none of this, since a sample is sent once with its own
// timestamp: with aggregators that come and go, prefer it.
//
// # Cost
//
// Every series is kept once, with its last value, for the page and for stale
// markers of buckets: 230 bytes of heap for a cAdvisor series (label names and values are
// kept once for all series), bounded by max_bytes. Beyond the bound, remote write
// goes on without stale markers for the series that found no place, and a page
// alone drops them, counted as series_limit. A million series are on the page in
// about a second of one core, 470 MB of text or 15 MB of gzip, with 1 MB of memory.
// From pdata to the network a series takes about 0.8 µs of a core with v1, 1.1 µs
// with v2.
//
// # Ledger
//
// An item is a data point, whatever number of series it becomes; one refused
// series makes its data point a dropped one. With both outputs configured, the
// answer of remote write decides. target_info and the stale markers of buckets
// are made here and are no items.
package prometheus
