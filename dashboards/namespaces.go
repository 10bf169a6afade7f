package dashboards

func namespaces() Dashboard {
	by := func(metric, unit, title, description string) Panel {
		return graph(title, description, unit, q(metric, "{{namespace}}")).link(toNamespace, namespaceLog)
	}
	return Dashboard{
		UID: "crowsnest-namespaces", Title: "Namespaces",
		Question:    "Which namespace uses what?",
		Variables:   []Variable{clusterVariable, namespaceVariable},
		Annotations: rollouts("<namespace>"),
		Rows: []Row{
			{Title: "Comparison", Panels: []Panel{
				table("Namespaces", "What each namespace runs, uses and reserves.", namespaceColumns("<namespace>")...).
					sortBy("CPU").link(toNamespace, namespaceLog).size(gridWidth, 10),
			}},
			{Title: "Processor and memory", Panels: []Panel{
				by(`sum by (namespace) (rate(container_cpu_usage_seconds_total{<namespace>, <container>}[$__rate_interval]))`, cores,
					"CPU", "Cores in use.").stack(),
				by(`sum by (namespace) (container_memory_working_set_bytes{<namespace>, <container>})`, bytes,
					"Memory", "Memory in use that cannot be taken back, as the kernel's killer sees it.").stack(),
				by(`sum by (namespace) (rate(container_cpu_usage_seconds_total{<namespace>, <container>}[$__rate_interval])) / sum by (namespace) (kube_pod_container_resource_requests{<namespace>, resource="cpu"} <active>)`, ratio,
					"CPU used of requests", "Far below 1 the reservation is wasted, above 1 it is a promise that nobody made."),
				by(`sum by (namespace) (container_memory_working_set_bytes{<namespace>, <container>}) / sum by (namespace) (kube_pod_container_resource_requests{<namespace>, resource="memory"} <active>)`, ratio,
					"Memory used of requests", "Above 1 pods are the first to be evicted from a full node."),
				by(`sum by (namespace) (rate(container_cpu_cfs_throttled_periods_total{<namespace>, container!=""}[$__rate_interval])) / sum by (namespace) (rate(container_cpu_cfs_periods_total{<namespace>, container!=""}[$__rate_interval]))`, ratio,
					"CPU throttled", "Share of scheduling periods in which containers were stopped at their CPU limit.").share().each(needThrottling),
				by(`sum by (namespace) (kube_pod_status_phase{<namespace>, phase="Running"})`, pods,
					"Running pods", "Pods in phase Running.").stack(),
			}},
			{Title: "Network and disk", Panels: []Panel{
				by(`sum by (namespace) (rate(container_network_receive_bytes_total{<namespace>}[$__rate_interval]))`, bytesPerSec,
					"Received", "Bytes per second that pods received."),
				by(`sum by (namespace) (rate(container_network_transmit_bytes_total{<namespace>}[$__rate_interval]))`, bytesPerSec,
					"Sent", "Bytes per second that pods sent."),
				by(`sum by (namespace) (rate(container_fs_reads_bytes_total{<namespace>, <container>}[$__rate_interval]))`, bytesPerSec,
					"Read from disk", "Bytes per second that containers read from block devices.").each(needBlockIO),
				by(`sum by (namespace) (rate(container_fs_writes_bytes_total{<namespace>, <container>}[$__rate_interval]))`, bytesPerSec,
					"Written to disk", "Bytes per second that containers wrote to block devices.").each(needBlockIO),
			}},
			{Title: "Trouble", Panels: []Panel{
				bars("Restarts", "Container restarts by namespace.", number,
					q(`round(sum by (namespace) (increase(kube_pod_container_status_restarts_total{<namespace>}[$__interval]))) > 0`, "{{namespace}}").needs(needTermination)).
					good("Nothing restarted").link(toNamespace),
				bars("Warning events", "Kubernetes events of type Warning, by namespace.", number,
					lq(`sum by (namespace) (count_over_time(`+kubeEvents("<namespace>", warning)+` [$__auto]))`, "{{namespace}}")).
					good("No warning").link(toNamespace),
				bars("Exits by reason", "Containers that ended, except those that completed.", number,
					q(`sum by (namespace, reason) (increase(container_terminations_total{<namespace>, reason!="Completed"}[$__interval])) > 0`, "{{namespace}} {{reason}}").needs(needFailure)).
					good("Nothing failed").link(toNamespace),
			}},
		},
	}
}
