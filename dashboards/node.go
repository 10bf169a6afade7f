package dashboards

func node() Dashboard {
	return Dashboard{
		UID: "crowsnest-node", Title: "Node",
		Question:    "What does this node do, and what holds it up?",
		Variables:   []Variable{clusterVariable, oneNode},
		Annotations: append(reboots(), rollouts("<cluster>")...),
		Rows: []Row{
			nodeState(),
			nodeUse(),
			nodePods(),
			nodeDisk(),
			nodeNetwork(),
			nodeKubelet(),
			nodeEvents(),
		},
	}
}

func nodeState() Row {
	return Row{Title: "State", Panels: []Panel{
		stat("Ready", "Whether the kubelet reports Ready.", "bool_yes_no", q(`min(kube_node_status_condition{<node>, condition="Ready", status="true"})`, "ready")).below(1),
		stat("Pressure", "Conditions of the node that are not as they should be.", number,
			q(`sum(kube_node_status_condition{<node>, condition!="Ready", status="true"})`, "conditions")).warn(1),
		share("CPU", "Share of the node's processors that is not idle.", `1 - avg(rate(node_cpu_seconds_total{<host>, mode="idle"}[$__rate_interval]))`).warn(.8, .9),
		share("Memory", "Share of memory that the kernel could not give to a new program.",
			`max(1 - node_memory_MemAvailable_bytes{<host>} / node_memory_MemTotal_bytes{<host>})`).warn(.8, .9),
		stat("Pods", "Pods that run here.", number, q(`sum(kubelet_running_pods{<node>})`, "pods")),
		stat("Up since", "Time since the kernel booted.", duration, q(`time() - max(node_boot_time_seconds{<host>})`, "up")),
	}}
}

func nodeUse() Row {
	return Row{Title: "Processor and memory", Panels: []Panel{
		graph("CPU by mode", "What the processors' time goes to. Steal is time that the hypervisor took, iowait idle time with a disk request open.", ratio,
			q(`avg by (mode) (sum by (instance, mode, cpu) (rate(node_cpu_seconds_total{<host>, mode!="idle"}[$__rate_interval])))`, "{{mode}}")).stack().share(),
		graph("Load", "Programs that run, wait to run, or wait for a disk; cores as a line.", number,
			q(`node_load1{<host>}`, "1 minute"), q(`node_load5{<host>}`, "5 minutes"), q(`node_load15{<host>}`, "15 minutes"),
			limit(`count(node_cpu_seconds_total{<host>, mode="idle"})`, "cores")).fromZero(),
		graph("Memory", "What memory holds. Cached and free can be had by programs.", bytes,
			q(`node_memory_MemTotal_bytes{<host>} - node_memory_MemFree_bytes{<host>} - node_memory_Buffers_bytes{<host>} - node_memory_Cached_bytes{<host>} - node_memory_Slab_bytes{<host>}`, "programs"),
			q(`node_memory_Slab_bytes{<host>}`, "kernel"), q(`node_memory_Buffers_bytes{<host>} + node_memory_Cached_bytes{<host>}`, "cached"),
			q(`node_memory_MemFree_bytes{<host>}`, "free")).stack().fromZero(),
		graph("Pressure", "Share of time in which at least one program waited for a resource.", ratio,
			needs(needPSI, q(`rate(node_pressure_cpu_waiting_seconds_total{<host>}[$__rate_interval])`, "CPU"),
				q(`rate(node_pressure_memory_waiting_seconds_total{<host>}[$__rate_interval])`, "memory"),
				q(`rate(node_pressure_io_waiting_seconds_total{<host>}[$__rate_interval])`, "disk"))...).share(),
	}}
}

func nodePods() Row {
	return Row{Title: "What its pods use", Panels: []Panel{
		graph("CPU of pods", "The ten pods that use most.", cores,
			q(`topk(10, sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{<node>, <container>}[$__rate_interval])))`, "{{namespace}}/{{pod}}")).stack().link(toPod, podLogs),
		graph("Memory of pods", "The ten pods that use most.", bytes,
			q(`topk(10, sum by (namespace, pod) (container_memory_working_set_bytes{<node>, <container>}))`, "{{namespace}}/{{pod}}")).stack().link(toPod, podLogs),
		table("Reserved", "Requests and limits of its pods against what it can give.",
			q(`sum by (resource) (kube_pod_container_resource_requests{<node>, resource=~"cpu|memory"} <active>) / sum by (resource) (kube_node_status_allocatable{<node>, resource=~"cpu|memory"})`, "Requested").in(ratio).warn(.9, 1),
			q(`sum by (resource) (kube_pod_container_resource_limits{<node>, resource=~"cpu|memory"} <active>) / sum by (resource) (kube_node_status_allocatable{<node>, resource=~"cpu|memory"})`, "Limits").in(ratio).warn(1, 2).needs(needLimits)).
			size(8, 7),
		table("Conditions", "What the node says of itself.",
			q(`max by (condition, status) (kube_node_status_condition{<node>} == 1)`, "Condition").in(number)).hide("Value").size(8, 7),
		table("Taints", "What keeps pods away.",
			q(`max by (key, effect) (kube_node_spec_taint{<node>})`, "Taint").in(number).needs(needTaint)).hide("Value").good("No taints").size(8, 7),
	}}
}

func nodeDisk() Row {
	return Row{Title: "Disk", Panels: []Panel{
		table("File systems", "Space and inodes.",
			q(`max by (mountpoint, device) (1 - node_filesystem_avail_bytes{<host>, <fs>} / node_filesystem_size_bytes{<host>, <fs>})`, "Used").in(ratio).warn(.8, .9),
			q(`max by (mountpoint, device) (node_filesystem_size_bytes{<host>, <fs>})`, "Size").in(bytes),
			q(`max by (mountpoint, device) (1 - node_filesystem_files_free{<host>, <fs>} / (node_filesystem_files{<host>, <fs>} > 0))`, "Inodes used").in(ratio).warn(.8, .9)).
			sortBy("Used").size(12, 8),
		graph("Throughput", "Bytes read and written per second.", bytesPerSec,
			needs(needDisk, q(`rate(node_disk_read_bytes_total{<host>, <disk>}[$__rate_interval])`, "{{device}} read"),
				q(`rate(node_disk_written_bytes_total{<host>, <disk>}[$__rate_interval])`, "{{device}} written"))...),
		graph("Latency", "Mean time of a request, waiting included.", seconds,
			needs(needDisk, q(`rate(node_disk_read_time_seconds_total{<host>, <disk>}[$__rate_interval]) / rate(node_disk_reads_completed_total{<host>, <disk>}[$__rate_interval])`, "{{device}} read"),
				q(`rate(node_disk_write_time_seconds_total{<host>, <disk>}[$__rate_interval]) / rate(node_disk_writes_completed_total{<host>, <disk>}[$__rate_interval])`, "{{device}} write"))...),
		graph("Busy", "Share of time in which the disk had something to do, and requests in its queue.", ratio,
			needs(needDisk, q(`rate(node_disk_io_time_seconds_total{<host>, <disk>}[$__rate_interval])`, "{{device}} busy"),
				q(`rate(node_disk_io_time_weighted_seconds_total{<host>, <disk>}[$__rate_interval])`, "{{device}} queue").in(number))...),
	}}
}

func nodeNetwork() Row {
	return Row{Title: "Network", Panels: []Panel{
		graph("Traffic", "Bytes per second by interface.", bytesPerSec,
			q(`rate(node_network_receive_bytes_total{<host>, <nic>}[$__rate_interval])`, "{{device}} received"),
			q(`rate(node_network_transmit_bytes_total{<host>, <nic>}[$__rate_interval])`, "{{device}} sent")),
		graph("Errors and drops", "Packets that were damaged or had no place.", packets,
			q(`rate(node_network_receive_errs_total{<host>, <nic>}[$__rate_interval]) + rate(node_network_transmit_errs_total{<host>, <nic>}[$__rate_interval])`, "{{device}} errors"),
			q(`rate(node_network_receive_drop_total{<host>, <nic>}[$__rate_interval]) + rate(node_network_transmit_drop_total{<host>, <nic>}[$__rate_interval])`, "{{device}} drops")).fromZero(),
		graph("Connections tracked", "Entries of the kernel's connection table. When it is full, new connections fail.", number,
			needs(needConntrack, q(`node_nf_conntrack_entries{<host>}`, "entries"), limit(`node_nf_conntrack_entries_limit{<host>}`, "at most"))...).fromZero(),
		graph("Open files", "File handles in use on the whole node.", number,
			q(`node_filefd_allocated{<host>}`, "open"), limit(`node_filefd_maximum{<host>} < 1e9`, "at most").needs("a node with a bound on open files")).fromZero(),
	}}
}

func nodeKubelet() Row {
	return Row{Title: "Kubelet", Panels: []Panel{
		graph("Look through all pods", "99th percentile of the time that the kubelet takes to list containers. Over a few seconds the node becomes not ready.", seconds,
			q(`histogram_quantile(0.99, sum by (le) (rate(kubelet_pleg_relist_duration_seconds_bucket{<node>}[$__rate_interval])))`, "p99")).fromZero().warn(3, 10).size(8, 8),
		graph("Runtime errors", "Calls of the container runtime that failed.", perSecond,
			q(`sum by (operation_type) (rate(kubelet_runtime_operations_errors_total{<node>}[$__rate_interval]))`, "{{operation_type}}").needs(needFault)).fromZero().good("No call failed").size(8, 8),
		graph("Evictions", "Pods that the kubelet evicted since the node ran short of something.", number,
			q(`sum by (eviction_signal) (increase(kubelet_evictions{<node>}[$__rate_interval]))`, "{{eviction_signal}}").needs(needEviction)).fromZero().good("No eviction").size(8, 8),
	}}
}

func nodeEvents() Row {
	return Row{Title: "Kubernetes events", Panels: []Panel{
		records("Events", "What is said of the node, and what its kubelet says of its pods, newest first.", lq(kubeEvents("<cluster>", ofNode), "")).size(gridWidth, 10),
	}}
}
