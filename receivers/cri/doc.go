// Package cri is the receiver "cri": container and pod stats straight from the
// container runtime's CRI socket, under cAdvisor's names, for clusters whose
// kubelet is closed or whose cAdvisor stats are off. Where the kubelet's page
// /metrics/cadvisor is scraped, leave this out: the series are the same ones.
//
//	receivers:
//	  cri:
//	    endpoint: unix:///run/containerd/containerd.sock
//	    instance: ${env:NODE_IP}:10250
//
// # What goes out
//
// One ResourceMetrics per scrape with service.name "kubelet" (label job),
// service.instance.id (instance) and url.path "/metrics/cadvisor"
// (metrics_path), so that every dashboard, rule and alert on container_* works.
// The labels are cAdvisor's (container, id, image, name, namespace, pod; cpu,
// device, interface, failure_type, scope), with id the container's, as the
// kubelet has it with the feature PodAndContainerStatsFromCRI: CRI does not tell
// the path of a cgroup. As with cAdvisor, a pod's own CPU and memory have neither
// container, image nor name, so that filters on these tell them from containers'.
//
//   - ListPodSandboxMetrics (containerd 2.2, CRI-O 1.26 and later) tells most:
//     CPU, CFS throttling, memory, network, file system, processes, spec. It is
//     passed on by name.
//   - ListPodSandboxStats, else ListContainerStats, has CPU time in nanoseconds,
//     where containerd's metrics have whole seconds, so container_cpu_usage_seconds_total
//     is taken from here; as are pods' own CPU and memory, pressure stall times (cgroup v2), and all that a runtime
//     without metrics has: CPU, working set, usage, RSS, page faults, swap, bytes
//     and errors of network interfaces, used bytes of the writable layer.
//   - ListContainers has container_creation_time_seconds and the image.
//   - ImageFsInfo gives container_runtime_filesystem_used_bytes and _used_inodes
//     {use="images"|"containers",mountpoint}, Status container_runtime_condition
//     {condition,reason}, Version container_runtime_info. These names are
//     Crowsnest's own; cAdvisor and the kubelet have no such series.
//
// Beside these go "up", "scrape_duration_seconds", "scrape_samples_scraped".
// cAdvisor has more: machine_*, container_fs_reads_*/writes_* per device (unless
// the runtime tells), and the cgroups above pods. User, system and throttled
// seconds are whole seconds with containerd, and container_processes counts threads. On cgroup v1 containerd says memory
// and swap for container_memory_swap; the memory is subtracted.
//
// # Guarantees
//
//   - A series that is gone, and every series while the runtime does not answer
//     (up 0), gets one point flagged NoRecordedValue, repeated until the pipeline
//     took it.
//   - A scrape counts whole or not at all. The socket is dialled anew when it
//     comes back.
//   - Sizes are bounded: an answer by 32 MiB, the series by max_series, what is
//     over counted as received and dropped with reason "series_limit".
//   - Points that the pipeline refused are counted as received and dropped with
//     reason "refused".
//
// # Cost
//
// The runtime does the work: it asks a shim process per container. Here, a node
// with 110 pods takes a few ms per scrape (BenchmarkConvert).
package cri
