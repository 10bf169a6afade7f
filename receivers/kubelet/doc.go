// Package kubelet is the receiver "kubelet": it scrapes the Prometheus pages
// of one node's kubelet and passes them on as pdata metrics.
//
// Source: /metrics/cadvisor (containers), /metrics/resource (what the
// metrics-server reads), /metrics/probes and /metrics (the kubelet itself), over
// TLS with a service-account token or a client certificate. The pages are
// asked for as Prometheus asks for them, so names are those that every
// dashboard written for a Prometheus-scraped kubelet expects.
//
//	receivers:
//	  kubelet:
//	    endpoint: https://${env:NODE_IP}:10250
//	    token_file: /var/run/secrets/kubernetes.io/serviceaccount/token
//	    tls: {ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt} # or insecure_skip_verify: true
//	    paths: [/metrics/cadvisor, /metrics/resource, /metrics/probes, /metrics]    # the default
//	    keep: []                            # the default: all
//	    drop: [container_tasks_state, ...]  # the default is below; [] drops nothing
//	    native_histograms: false            # the default
//
// The service account needs "get" on "nodes/metrics". Add /metrics/slis to paths
// for kubernetes_healthcheck; it is none by default, as a kubelet without that page
// would have "up" 0 for it. kubelet_volume_stats_* of persistent volume claims
// are on /metrics.
//
// # What is left out
//
// Series whose name is not in keep, if that names any, or is in drop; "*" and "?"
// are wild, and a histogram's name stands for its parts. The default of drop is
// what neither kubernetes-mixin nor kube-prometheus(-stack) nor well-known
// dashboards read: container_cpu_load_average_10s and _load_d_average_10s,
// container_fs_io_*, _fs_sector_*, _fs_reads_merged_total and
// _fs_writes_merged_total, container_network_tcp*, _udp* and _advance_tcp_stats,
// container_tasks_state. It does not have what kube-prometheus-stack drops though
// its own rules read it (container_memory_swap), nor storage_operation_errors_total.
// A line of a dropped series is passed over unread, and not in the cache.
//
// # What goes out
//
// Requests of up to 1,000 series each, once the whole page is read, of one
// ResourceMetrics with service.name "kubelet" (label job), service.instance.id
// "<host>:<port>" (instance) and url.path (metrics_path). Each Metric bears its
// exact name on the page, the declared type in its metadata as
// "prometheus.type", the labels verbatim as data point attributes (labels with
// an empty value are absent labels to Prometheus and are left out), and the
// page's own timestamps where it has them. Classic histograms and summaries are
// put together from their series; one whose parts contradict each other (bucket
// counts that fall, a _count other than the +Inf bucket) goes on as its parts,
// each a plain series, since no value may be made up and none left out. With
// native_histograms the page is asked for in protobuf, and a kubelet with the
// feature gate NativeHistograms gives such histograms beside the classic ones:
// both go on, of one name, since dashboards read the classic ones. A native
// histogram of more than 4096 buckets from its first to its last is dropped
// with reason "histogram".
//
// Beside the page go "up", "scrape_duration_seconds" and
// "scrape_samples_scraped", as Prometheus makes them.
//
// # Guarantees
//
//   - A series that is gone from a page, and every series of a page that could
//     not be had, gets one point flagged NoRecordedValue, repeated with each
//     scrape until the pipeline took it. That holds for series with timestamps
//     of their own, too (trackTimestampsStaleness in kube-prometheus). Shutdown
//     marks nothing: an agent that comes back goes on with the same series.
//   - A series with timestamps of its own ends a millisecond after its last value:
//     a marker at the time of the failed scrape, as Prometheus writes it, would
//     shut out what cAdvisor says next, whose values are seconds old. Where the page
//     then repeats that very value, it goes on a millisecond after the marker, so
//     that the series is back at once and nothing is refused as out of order.
//   - A page counts whole or not at all: one malformed line fails the scrape
//     (up 0), as in Prometheus, with an error that names the line.
//   - Each page has a goroutine, a connection and a phase of its own; one that
//     hangs delays no other.
//   - Sizes are bounded: a page by max_body_bytes, before and after gzip; its
//     series by max_series, what is over counted as received and dropped with
//     reason "series_limit".
//   - Points that the pipeline refused are gone; they are counted as received
//     and dropped with reason "refused". Permanent refusals are in the account
//     of the component that refused.
//
// # Cost
//
// A page is nearly the same from scrape to scrape, so a line is first compared
// (by its hash) with the line that stood there last time, then looked up, and
// only an unknown one goes through Prometheus' parser. A node with 110 pods
// (13,200 series of cAdvisor, 3.9 MB) takes about 5 ms of one core per scrape, the
// first 35 ms (BenchmarkScrape), and keeps 3.7 MB of cache (BenchmarkCache) and a
// buffer of 128 KiB: a page of text is read in parts.
package kubelet
