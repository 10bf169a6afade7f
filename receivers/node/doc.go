// Package node is the receiver "node": the metrics of the node itself (node_*),
// by node_exporter's own collectors, without a node_exporter to run.
//
// Source: proc, sysfs and the root file system of the host, read in this
// process by github.com/prometheus/node_exporter/collector. Names, labels and
// types are node_exporter's.
//
//	receivers:
//	  node:
//	    node: ${env:NODE_NAME}
//	    root_path: /host/root        # hostPath /, read-only, mountPropagation: HostToContainer
//	    directory: /var/lib/crowsnest/node
//	    collectors:
//	      enable: [systemd]
//	      disable: [zfs, infiniband]
//	      arguments: ["--collector.textfile.directory=/host/root/var/lib/node_exporter"]
//
// The collectors are those that node_exporter runs by default, with
// kube-prometheus' exclusions: file systems below /dev, /proc, /sys and of
// containers and pods, and network devices that are the host's ends of pods'
// (veth*, 15 hexadecimal digits). An argument for the same flag replaces one.
//
// # The host's network
//
// proc/net shows the network namespace of whoever reads it, even in a mount of
// the host's proc. If process 1 of the host's proc has another one (told by
// inode, without rights over that process), which is so in a pod without
// hostNetwork, the receiver makes in directory a folder of links that stands
// for the host's proc but has proc/1/net for net, and has no collector ask by
// netlink. Two values that come by other ways are set right: the number of
// tracked connections (from net/stat) and the node's name (from etc/hostname).
// So neither hostNetwork nor hostPID nor any capability is needed. Not right in
// that case: collectors off by default that use netlink or list processes
// (network_route, processes, qdisc, tcpstat, wifi). On a kernel that hides
// others' processes (hidepid) proc/1/net is not to be had; use hostNetwork.
//
// # What goes out
//
// One ResourceMetrics per collection, with service.name "node-exporter" (label
// job), service.instance.id the node's name (instance), url.path "/metrics"
// (metrics_path) and k8s.node.name. Each Metric bears its type in its metadata
// as "prometheus.type". Beside them go node_exporter_build_info, with the
// version of the collectors' module, and "up", "scrape_duration_seconds" and
// "scrape_samples_scraped", as Prometheus makes them. There are no native
// histograms: no collector and no text file can give one.
//
// # Guarantees
//
//   - Each collector runs alone. One that fails, panics or hangs has
//     node_scrape_collector_success 0 and its series go stale, while the others
//     go on; one that hangs is not started again before it ended. Only a panic
//     in a goroutine that a collector itself starts would end the program.
//   - What a collector needs may come later: it is tried with each collection.
//   - A series that is gone gets one point flagged NoRecordedValue, repeated with
//     each collection until the pipeline took it.
//   - The series of one collection are bounded by max_series; what is over is
//     counted as received and dropped with reason "series_limit". Points that
//     the pipeline refused are dropped with reason "refused".
//   - node_exporter's settings are variables of the process. A second receiver
//     configured otherwise, and one changed without a restart, is refused.
//
// # Cost
//
// Collectors run one after the other, in the order of their names, a slow one
// beside the others after a quarter of a second. A node of two processors and
// few devices (490 series) takes about 8 ms of one core and 1 MB of garbage
// per collection (BenchmarkCollect; BenchmarkCollector tells which collector takes what),
// and the memory of its series is about 200 bytes each.
package node
