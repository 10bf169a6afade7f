package dashboards

func nodes() Dashboard {
	return Dashboard{
		UID: "crowsnest-nodes", Title: "Nodes",
		Question:    "Which node stands out?",
		Variables:   []Variable{clusterVariable, nodeVariable},
		Annotations: append(reboots(), rollouts("<cluster>")...),
		Rows: []Row{
			{Title: "Comparison", Panels: []Panel{
				table("Nodes", "Every node with its share of processor, memory and file system in use.",
					q(`min by (node) (kube_node_status_condition{<node>, condition="Ready", status="true"})`, "Ready").in("bool_yes_no").below(1),
					q(`max by (node) (kube_node_spec_unschedulable{<node>})`, "Cordoned").in("bool_yes_no").warn(1),
					q(byNode(`1 - avg by (instance) (rate(node_cpu_seconds_total{<host>, mode="idle"}[$__rate_interval]))`), "CPU").in(ratio).warn(.8, .9),
					q(byNode(`max by (cluster, instance) (node_load1{<host>}) / count by (cluster, instance) (node_cpu_seconds_total{<host>, mode="idle"})`), "Load per core").in(number).warn(1, 2),
					q(byNode(`1 - node_memory_MemAvailable_bytes{<host>} / node_memory_MemTotal_bytes{<host>}`), "Memory").in(ratio).warn(.8, .9),
					q(byNode(`1 - node_filesystem_avail_bytes{<host>, <fs>} / node_filesystem_size_bytes{<host>, <fs>}`), "Fullest file system").in(ratio).warn(.8, .9),
					q(`max by (node) (kubelet_running_pods{<node>})`, "Pods").in(number),
					q(`sum by (node) (kube_node_status_capacity{<node>, resource="pods"})`, "Pods at most").in(number),
					q(byNode(`time() - node_boot_time_seconds{<host>}`), "Up since").in(duration)).
					sortBy("CPU").link(toNode).size(gridWidth, 10),
			}},
			{Title: "Processor and memory", Panels: []Panel{
				graph("CPU", "Share of the node's processors that is not idle.", ratio,
					q(`1 - avg by (instance) (rate(node_cpu_seconds_total{<host>, mode="idle"}[$__rate_interval]))`, "{{instance}}")).share().warn(.8, .9).link(toHost),
				graph("Memory", "Share of memory that the kernel could not give to a new program.", ratio,
					q(`1 - node_memory_MemAvailable_bytes{<host>} / node_memory_MemTotal_bytes{<host>}`, "{{instance}}")).share().warn(.8, .9).link(toHost),
				graph("Load per core", "Programs that run, wait to run, or wait for a disk, per core. Above 1 some wait.", number,
					q(`max by (cluster, instance) (node_load1{<host>}) / count by (cluster, instance) (node_cpu_seconds_total{<host>, mode="idle"})`, "{{instance}}")).fromZero().warn(1, 2).link(toHost),
				graph("Major page faults", "Pages read from disk since they were not in memory. Many of them say that memory is short.", perSecond,
					q(`rate(node_vmstat_pgmajfault{<host>}[$__rate_interval])`, "{{instance}}")).fromZero().link(toHost),
			}},
			{Title: "Waiting for a resource", Panels: []Panel{
				pressure("CPU", "cpu"), pressure("Memory", "memory"), pressure("Disk", "io"),
			}},
			{Title: "Disk and network", Panels: []Panel{
				graph("Fullest file system", "Share used of each node's fullest file system.", ratio,
					q(`max by (instance) (1 - node_filesystem_avail_bytes{<host>, <fs>} / node_filesystem_size_bytes{<host>, <fs>})`, "{{instance}}")).share().warn(.8, .9).link(toHost),
				graph("Busy disk", "Share of time in which the busiest disk had something to do.", ratio,
					q(`max by (instance) (rate(node_disk_io_time_seconds_total{<host>, <disk>}[$__rate_interval]))`, "{{instance}}").needs(needDisk)).share().link(toHost),
				graph("Received", "Bytes per second through the node's own interfaces.", bytesPerSec,
					q(`sum by (instance) (rate(node_network_receive_bytes_total{<host>, <nic>}[$__rate_interval]))`, "{{instance}}")).link(toHost),
				graph("Sent", "Bytes per second through the node's own interfaces.", bytesPerSec,
					q(`sum by (instance) (rate(node_network_transmit_bytes_total{<host>, <nic>}[$__rate_interval]))`, "{{instance}}")).link(toHost),
				graph("Packets dropped", "Packets that the node's own interfaces dropped, both ways.", packets,
					q(`sum by (instance) (rate(node_network_receive_drop_total{<host>, <nic>}[$__rate_interval]) + rate(node_network_transmit_drop_total{<host>, <nic>}[$__rate_interval]))`, "{{instance}}")).fromZero().link(toHost),
				graph("Clock offset", "How far the node's clock is from the one that it follows. Beyond 50 ms logs and traces begin to lie.", seconds,
					q(`node_timex_offset_seconds{<host>}`, "{{instance}}")).link(toHost),
			}},
			{Title: "Versions", Panels: []Panel{
				table("Versions", "Kernel, system, runtime and kubelet of every node; a half-done upgrade shows here.",
					q(`max by (node, kubelet_version, container_runtime_version, kernel_version, os_image, internal_ip) (kube_node_info{<node>})`, "Info").in(number)).
					hide("Value").link(toNode),
			}},
		},
	}
}

// byNode gives node_exporter's series, whose instance is the node, the label
// that kube_node_* have.
func byNode(expr string) string {
	return `max by (node) (label_replace(` + expr + `, "node", "$1", "instance", "(.+)"))`
}

// pressure is the share of time in which some program waited for a resource.
func pressure(name, resource string) Panel {
	metric := "node_pressure_" + resource + "_waiting_seconds_total"
	return graph(name+" pressure", "Share of time in which at least one program waited for it (pressure stall information).", ratio,
		q(`rate(`+metric+`{<host>}[$__rate_interval])`, "{{instance}}").needs(needPSI)).share().link(toHost).size(8, 8)
}
