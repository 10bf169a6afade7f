package dashboards

func pod() Dashboard {
	return Dashboard{
		UID: "crowsnest-pod", Title: "Pod",
		Question:    "What does this pod do, and why did it stop?",
		Variables:   []Variable{clusterVariable, oneNamespace, onePod},
		Annotations: append(rollouts("<namespace>"), exits("<pod>")...),
		Rows: []Row{
			podState(),
			podProcessor(),
			podMemory(),
			podTraffic(),
			podExits(),
			podEvents(),
			podLines(),
		},
	}
}

func podState() Row {
	return Row{Title: "State", Panels: []Panel{
		stat("Ready", "Whether the pod takes traffic.", "bool_yes_no", q(`max(kube_pod_status_ready{<pod>, condition="true"})`, "ready")).below(1),
		stat("Phase", "Where the pod is in its life.", plain, q(`max by (phase) (kube_pod_status_phase{<pod>} == 1)`, "{{phase}}")).name(),
		stat("Age", "Time since the pod was created.", duration, q(`time() - max(kube_pod_created{<pod>})`, "age")),
		stat("Restarts", "Restarts of its containers since it was created.", number, q(`sum(kube_pod_container_status_restarts_total{<pod>})`, "restarts")).warn(1, 10),
		stat("Waiting", "Containers that do not start.", number, q(`sum(kube_pod_container_status_waiting{<pod>})`, "containers")).warn(1),
		stat("Quality of service", "Guaranteed pods are evicted last, BestEffort ones first.", plain, q(`max by (qos_class) (kube_pod_status_qos_class{<pod>} == 1)`, "{{qos_class}}")).name(),
		table("Where it runs", "Node, owner, address and priority.",
			q(`max by (node, created_by_kind, created_by_name, pod_ip, priority_class) (kube_pod_info{<pod>})`, "Info").in(number)).
			hide("Value").link(toNode).size(12, 5),
		table("Containers", "Image, requests and limits of each container.",
			q(`max by (container, image) (kube_pod_container_info{<pod>})`, "Container").in(number)).hide("Value").size(12, 5),
	}}
}

func podProcessor() Row {
	return Row{Title: "Processor", Panels: []Panel{
		graph("CPU", "Cores in use by container, against requests and limits.", cores,
			q(`sum by (container) (rate(container_cpu_usage_seconds_total{<pod>, <container>}[$__rate_interval]))`, "{{container}}"),
			limit(`sum by (container) (kube_pod_container_resource_requests{<pod>, resource="cpu"})`, "{{container}} request").needs(needLimits),
			limit(`sum by (container) (kube_pod_container_resource_limits{<pod>, resource="cpu"})`, "{{container}} limit").needs(needLimits)).fromZero(),
		graph("CPU throttled", "Share of scheduling periods in which a container was stopped at its CPU limit. It is slow then, however idle the node.", ratio,
			q(`sum by (container) (rate(container_cpu_cfs_throttled_periods_total{<pod>, container!=""}[$__rate_interval])) / sum by (container) (rate(container_cpu_cfs_periods_total{<pod>, container!=""}[$__rate_interval]))`, "{{container}}").needs(needThrottling)).share().warn(.25, .5),
	}}
}

func podMemory() Row {
	return Row{Title: "Memory", Panels: []Panel{
		graph("Memory", "Memory that cannot be taken back, against requests and limits. At the limit the kernel kills the container.", bytes,
			q(`sum by (container) (container_memory_working_set_bytes{<pod>, <container>})`, "{{container}}"),
			limit(`sum by (container) (kube_pod_container_resource_requests{<pod>, resource="memory"})`, "{{container}} request").needs(needLimits),
			limit(`sum by (container) (kube_pod_container_resource_limits{<pod>, resource="memory"})`, "{{container}} limit").needs(needLimits)).fromZero(),
		graph("Kinds of memory", "Resident is the program's own, cached are files, swap is what was moved to disk.", bytes,
			q(`sum by (container) (container_memory_rss{<pod>, <container>})`, "{{container}} resident"),
			q(`sum by (container) (container_memory_cache{<pod>, <container>})`, "{{container}} cached"),
			q(`sum by (container) (container_memory_swap{<pod>, <container>}) > 0`, "{{container}} swap").needs("a node with swap")).fromZero(),
	}}
}

func podTraffic() Row {
	return Row{Title: "Network and disk", Panels: []Panel{
		graph("Network", "Bytes per second of the pod; its containers share one network.", bytesPerSec,
			q(`sum(rate(container_network_receive_bytes_total{<pod>}[$__rate_interval]))`, "received"),
			q(`sum(rate(container_network_transmit_bytes_total{<pod>}[$__rate_interval]))`, "sent")),
		graph("Packets dropped and damaged", "Both ways.", packets,
			q(`sum(rate(container_network_receive_packets_dropped_total{<pod>}[$__rate_interval]) + rate(container_network_transmit_packets_dropped_total{<pod>}[$__rate_interval]))`, "dropped"),
			q(`sum(rate(container_network_receive_errors_total{<pod>}[$__rate_interval]) + rate(container_network_transmit_errors_total{<pod>}[$__rate_interval]))`, "damaged")).fromZero(),
		graph("Disk", "Bytes per second to and from block devices.", bytesPerSec,
			needs(needBlockIO, q(`sum by (container) (rate(container_fs_reads_bytes_total{<pod>, <container>}[$__rate_interval]))`, "{{container}} read"),
				q(`sum by (container) (rate(container_fs_writes_bytes_total{<pod>, <container>}[$__rate_interval]))`, "{{container}} written"))...),
		table("Volumes", "Claims that the pod mounts, and how full they are.", needs(needVolumeStats,
			q(`max by (persistentvolumeclaim) (kubelet_volume_stats_used_bytes{<namespace>} / kubelet_volume_stats_capacity_bytes{<namespace>}
				and on (cluster, namespace, persistentvolumeclaim) kube_pod_spec_volumes_persistentvolumeclaims_info{<pod>})`, "Used").in(ratio).warn(.8, .9),
			q(`max by (persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes{<namespace>}
				and on (cluster, namespace, persistentvolumeclaim) kube_pod_spec_volumes_persistentvolumeclaims_info{<pod>})`, "Size").in(bytes))...).size(12, 8),
	}}
}

func podExits() Row {
	return Row{Title: "Exits and probes", Panels: []Panel{
		table("Last exit", "How each container ended last: 137 is a kill, 143 a stop that was asked for, 139 a segmentation fault.", needs(needTermination,
			q(`max by (container, reason) (kube_pod_container_status_last_terminated_exitcode{<pod>} * on (cluster, namespace, pod, uid, container) group_left (reason) kube_pod_container_status_last_terminated_reason{<pod>})`, "Exit code").in(number),
			q(`max by (container, reason) (kube_pod_container_status_last_terminated_timestamp{<pod>} * 1000 * on (cluster, namespace, pod, uid, container) group_left (reason) kube_pod_container_status_last_terminated_reason{<pod>})`, "Ended").in(moment))...).
			good("No container ended yet").size(8, 8),
		bars("Exits", "Every end of a container, counted by the agent.", number,
			q(`sum by (container, reason, exit_code) (increase(container_terminations_total{<pod>}[$__interval])) > 0`, "{{container}} {{reason}} ({{exit_code}})").needs(needTermination)).good("Nothing ended").size(8, 8),
		bars("Failed probes", "By container and kind.", number,
			q(`sum by (container, probe_type) (increase(prober_probe_total{<pod>, result="failed"}[$__interval])) > 0`, "{{container}} {{probe_type}}").needs(needProbeFailure)).good("No probe failed").size(8, 8),
	}}
}

func podEvents() Row {
	return Row{Title: "Kubernetes events", Panels: []Panel{
		records("Events", "What scheduler, kubelet and controllers say of the pod, newest first.", lq(kubeEvents("<namespace>", ofPod), "")).size(gridWidth, 8),
	}}
}

func podLines() Row {
	return Row{Title: "Logs", Panels: []Panel{
		bars("Lines by severity", "As Loki found it in the line.", lines,
			lq(`sum by (detected_level) (count_over_time({<pod>} [$__auto]))`, "{{detected_level}}")).size(gridWidth, 6),
		records("Lines", "The newest lines of the pod's containers. A line with a trace id opens its trace.",
			lq(`{<pod>}`, "")),
	}}
}
