package dashboards

func cluster() Dashboard {
	return Dashboard{
		UID: "crowsnest-cluster", Title: "Cluster",
		Question:    "Is the cluster healthy, and how full is it?",
		Variables:   []Variable{clusterVariable},
		Annotations: happenings("<cluster>"),
		Rows: []Row{
			{Title: "Health now", Panels: []Panel{
				stat("Nodes", "Nodes that the API server knows.", number, q(`count(kube_node_info{<cluster>})`, "nodes")),
				stat("Nodes not ready", "Nodes whose kubelet does not report Ready. Their pods are evicted after five minutes.", number,
					q(`count(kube_node_info{<cluster>}) - sum(kube_node_status_condition{<cluster>, condition="Ready", status="true"})`, "not ready")).warn(1),
				stat("Pods not running", "Pods that are pending, failed or unknown.", number,
					q(`sum(kube_pod_status_phase{<cluster>, phase=~"Pending|Failed|Unknown"})`, "pods")).warn(1, 10),
				stat("Containers waiting", "Containers that do not start: image pulls, crash loops, missing configuration.", number,
					q(`sum(kube_pod_container_status_waiting{<cluster>}) or vector(0)`, "containers")).warn(1, 5),
				stat("Restarts", "Container restarts in the chosen time.", number,
					q(`round(sum(increase(kube_pod_container_status_restarts_total{<cluster>}[$__range])))`, "restarts")).warn(1, 20),
				stat("Alerts firing", "Alerts of severity warning or critical that fire now.", number,
					q(`count(ALERTS{alertstate="firing", severity=~"warning|critical"}) or vector(0)`, "alerts")).warn(1, 5),
			}},
			{Title: "How full", Panels: []Panel{
				share("CPU used", "Share of all processors' time that is not idle.", clusterCPU).warn(.8, .9),
				share("CPU requested", "Share of allocatable CPU that pods reserve. New pods do not fit when it is full, whatever is used.",
					`sum(kube_pod_container_resource_requests{<cluster>, resource="cpu"} <active>) / sum(kube_node_status_allocatable{<cluster>, resource="cpu"})`).warn(.8, .95),
				share("Memory used", "Share of memory that the kernel could not give to a new program.",
					`1 - sum(node_memory_MemAvailable_bytes{<hosts>}) / sum(node_memory_MemTotal_bytes{<hosts>})`).warn(.8, .9),
				share("Memory requested", "Share of allocatable memory that pods reserve.",
					`sum(kube_pod_container_resource_requests{<cluster>, resource="memory"} <active>) / sum(kube_node_status_allocatable{<cluster>, resource="memory"})`).warn(.8, .95),
				share("Fullest file system", "Share used of the fullest file system of any node.",
					`max(1 - node_filesystem_avail_bytes{<hosts>, <fs>, fstype!~"tmpfs|overlay|squashfs|ramfs"} / node_filesystem_size_bytes{<hosts>, <fs>, fstype!~"tmpfs|overlay|squashfs|ramfs"})`).warn(.8, .9),
				share("Pods", "Share of the pods that kubelets take.",
					`sum(kubelet_running_pods{<cluster>}) / sum(kube_node_status_capacity{<cluster>, resource="pods"})`).warn(.8, .95),
			}},
			{Title: "Use over time", Panels: []Panel{
				graph("CPU", "Cores in use against what pods request, may use at most, and what nodes can give.", cores,
					q(`sum(rate(node_cpu_seconds_total{<hosts>, mode!~"idle|iowait|steal"}[$__rate_interval]))`, "used"),
					limit(`sum(kube_pod_container_resource_requests{<cluster>, resource="cpu"} <active>)`, "requests"),
					limit(`sum(kube_pod_container_resource_limits{<cluster>, resource="cpu"} <active>)`, "limits").needs(needLimits),
					limit(`sum(kube_node_status_allocatable{<cluster>, resource="cpu"})`, "allocatable")).fromZero(),
				graph("Memory", "Bytes in use against what pods request, may use at most, and what nodes can give.", bytes,
					q(`sum(node_memory_MemTotal_bytes{<hosts>} - node_memory_MemAvailable_bytes{<hosts>})`, "used"),
					limit(`sum(kube_pod_container_resource_requests{<cluster>, resource="memory"} <active>)`, "requests"),
					limit(`sum(kube_pod_container_resource_limits{<cluster>, resource="memory"} <active>)`, "limits").needs(needLimits),
					limit(`sum(kube_node_status_allocatable{<cluster>, resource="memory"})`, "allocatable")).fromZero(),
				graph("Pods by phase", "Running is good; Pending and Failed should pass.", pods,
					q(`sum by (phase) (kube_pod_status_phase{<cluster>})`, "{{phase}}")).stack(),
				graph("Network of nodes", "Bytes per second through the nodes' own interfaces.", bytesPerSec,
					q(`sum(rate(node_network_receive_bytes_total{<hosts>, <nic>}[$__rate_interval]))`, "received"),
					q(`sum(rate(node_network_transmit_bytes_total{<hosts>, <nic>}[$__rate_interval]))`, "sent")),
			}},
			{Title: "Who uses it", Panels: []Panel{
				table("Namespaces", "What each namespace runs and uses.", namespaceColumns(`<cluster>, namespace!=""`)...).
					sortBy("CPU").link(toNamespace, namespaceLog),
			}},
		},
	}
}

const clusterCPU = `1 - avg(rate(node_cpu_seconds_total{<hosts>, mode="idle"}[$__rate_interval]))`

// share is a stat of how much of something is taken.
func share(title, description, expr string) Panel {
	return stat(title, description, ratio, q(expr, title))
}

// namespaceColumns compare namespaces within a scope of matchers.
func namespaceColumns(scope string) []Query {
	return []Query{
		q(`sum by (namespace) (kube_pod_status_phase{`+scope+`, phase="Running"})`, "Running pods").in(number),
		q(`sum by (namespace) (rate(container_cpu_usage_seconds_total{`+scope+`, <container>}[$__rate_interval]))`, "CPU").in(cores),
		q(`sum by (namespace) (kube_pod_container_resource_requests{`+scope+`, resource="cpu"} <active>)`, "CPU requests").in(cores),
		q(`sum by (namespace) (container_memory_working_set_bytes{`+scope+`, <container>})`, "Memory").in(bytes),
		q(`sum by (namespace) (kube_pod_container_resource_requests{`+scope+`, resource="memory"} <active>)`, "Memory requests").in(bytes),
		q(`sum by (namespace) (rate(container_network_receive_bytes_total{`+scope+`}[$__rate_interval]))`, "Received").in(bytesPerSec),
		q(`sum by (namespace) (rate(container_network_transmit_bytes_total{`+scope+`}[$__rate_interval]))`, "Sent").in(bytesPerSec),
		q(`round(sum by (namespace) (increase(kube_pod_container_status_restarts_total{`+scope+`}[$__range])))`, "Restarts").in(number).warn(1, 10),
	}
}
