package dashboards

func self() Dashboard {
	return Dashboard{
		UID: "crowsnest-self", Title: "Crowsnest itself",
		Question:    "Is anything lost or late, and what does Crowsnest cost?",
		Variables:   []Variable{one("cluster", "Cluster", `label_values(crowsnest_received_items_total, cluster)`)},
		Annotations: happenings("<cluster>"),
		Rows: []Row{
			selfLedger(),
			selfLag(),
			selfStores(),
			selfSources(),
			selfCost(),
		},
	}
}

func selfLedger() Row {
	return Row{Title: "Ledger", Panels: []Panel{
		stat("Delivered", "Log records, data points and spans per second that stores acknowledged.", itemsPerSec,
			q(`sum(rate(crowsnest_delivered_items_total{<self>, component=~"loki.*|prometheus.*|jaeger.*"}[$__rate_interval]))`, "items")),
		stat("Dropped", "Items given up for good in the chosen time. They are in no store.", number,
			q(`round(sum(increase(crowsnest_dropped_items_total{<self>}[$__range]))) or vector(0)`, "items")).warn(1),
		stat("Not accounted for", "Items received that were neither delivered, queued nor dropped. A few are on their way at any moment; what stays is a defect.", number,
			q(`clamp_min(min_over_time((`+unaccounted("")+`)[15m:1m]), 0)`, "items")).warn(1),
		stat("Queued", "Items waiting in spools on nodes.", number, q(`sum(crowsnest_queued_items{<self>})`, "items")),
		stat("Oldest in a spool", "Age of the oldest item that waits on a node.", duration,
			q(`max(crowsnest_spool_oldest_entry_age_seconds{<self>}) or vector(0)`, "age")).warn(60, 300),
		stat("Nodes without an agent", "Nodes whose agent does not answer scrapes.", number,
			q(`count(kube_node_info{<cluster>}) - count(count by (instance) (up{<cluster>, job="crowsnest-agent"} == 1))`, "nodes")).warn(1),
		graph("Received", "Items per second that entered agents and aggregators.", itemsPerSec,
			q(`sum by (job, signal) (rate(crowsnest_received_items_total{<self>}[$__rate_interval]))`, "{{job}} {{signal}}")),
		graph("Delivered", "Items per second that the next hop or a store acknowledged.", itemsPerSec,
			q(`sum by (job, signal, component) (rate(crowsnest_delivered_items_total{<self>}[$__rate_interval]))`, "{{job}} {{signal}} {{component}}")),
		bars("Dropped by reason", "Items given up for good. The reason tells whether the sender, a limit or a store is at fault.", number,
			q(`sum by (job, signal, component, reason) (increase(crowsnest_dropped_items_total{<self>}[$__interval])) > 0`, "{{job}} {{signal}} {{component}}: {{reason}}").needs(needDrops)).good("Nothing was dropped"),
		graph("Not accounted for", "Received minus delivered, queued and dropped, by program. It comes back to zero unless something is lost.", number,
			q(unaccounted("job, instance, signal"), "{{instance}} {{signal}}")),
	}}
}

func selfLag() Row {
	return Row{Title: "Lag", Panels: []Panel{
		graph("Log bytes not acknowledged", "Bytes in log files that no store has yet, by node.", bytes,
			q(`sum by (instance) (crowsnest_containerlogs_lag_bytes{<self>})`, "{{instance}}")).fromZero(),
		graph("Oldest entry in a spool", "Time since the oldest waiting entry was stored.", seconds,
			q(`max by (instance, component) (crowsnest_spool_oldest_entry_age_seconds{<self>})`, "{{instance}} {{component}}").needs(needSpool)).fromZero().warn(60, 300),
		graph("Spools", "Bytes that wait on nodes.", bytes,
			q(`sum by (instance, component) (crowsnest_spool_bytes{<self>})`, "{{instance}} {{component}}").needs(needSpool)).fromZero(),
		graph("Lost log files", "Files that went, and bytes of them, before they were delivered.", number,
			needs("a log file that went before it was read", q(`sum by (instance) (increase(crowsnest_containerlogs_lost_files_total{<self>}[$__rate_interval]))`, "{{instance}} files"),
				q(`sum by (instance) (increase(crowsnest_containerlogs_lost_bytes_total{<self>}[$__rate_interval]))`, "{{instance}} bytes").in(bytes))...).fromZero().good("Nothing was lost"),
	}}
}

func selfStores() Row {
	return Row{Title: "Stores", Panels: []Panel{
		graph("Requests to Loki", "Pushes by the code of the answer; none: no answer.", requests,
			q(`sum by (code) (rate(crowsnest_loki_requests_total{<self>}[$__rate_interval]))`, "{{code}}").needs("Loki as a store")).stack().size(8, 8),
		graph("Requests to Prometheus", "Remote writes by the code of the answer; none: no answer.", requests,
			q(`sum by (code) (rate(crowsnest_prometheus_requests_total{<self>}[$__rate_interval]))`, "{{code}}").needs("Prometheus by remote write")).stack().size(8, 8),
		graph("Requests to Jaeger", "Exports by the code of the answer.", requests,
			q(`sum by (code) (rate(crowsnest_jaeger_requests_total{<self>}[$__rate_interval]))`, "{{code}}").needs("Jaeger as a store")).stack().size(8, 8),
		graph("Refused for good", "Samples that Prometheus refused, by reason.", perSecond,
			q(`sum by (reason) (rate(crowsnest_prometheus_refused_samples_total{<self>}[$__rate_interval]))`, "{{reason}}").needs(needFault)).fromZero().good("Nothing was refused"),
		graph("Repeated", "Requests sent again since a store did not take them.", requests, needs(needFault,
			q(`sum(rate(crowsnest_loki_retries_total{<self>}[$__rate_interval]))`, "Loki"),
			q(`sum(rate(crowsnest_prometheus_retries_total{<self>}[$__rate_interval]))`, "Prometheus"))...).fromZero().good("Nothing was repeated"),
	}}
}

func selfSources() Row {
	return Row{Title: "Sources", Panels: []Panel{
		graph("Scrapes", "Pages of kubelets, applications and control plane by outcome; all but ok left a gap.", perSecond,
			q(`sum by (path, outcome) (rate(crowsnest_kubelet_scrapes_total{<self>}[$__rate_interval]))`, "kubelet {{path}} {{outcome}}"),
			q(`sum by (source, outcome) (rate(crowsnest_scrape_scrapes_total{<self>}[$__rate_interval]))`, "{{source}} {{outcome}}"),
			q(`sum by (outcome) (rate(crowsnest_cri_scrapes_total{<self>}[$__rate_interval]))`, "runtime {{outcome}}").needs("metrics from the container runtime")).fromZero().size(8, 8),
		graph("Series", "Series and points of each source in its last interval, of all nodes.", number,
			q(`sum(crowsnest_kubelet_series{<self>})`, "kubelet"), q(`sum(crowsnest_node_series{<self>})`, "node"),
			q(`sum(crowsnest_kubestate_points{<self>})`, "objects"), q(`sum(crowsnest_terminations_series{<self>})`, "exits")).fromZero().size(8, 8),
		graph("Identity", "Resources by whether their pod was known when they passed.", perSecond,
			q(`sum by (outcome) (rate(crowsnest_kubeattrs_resources_total{<self>}[$__rate_interval]))`, "{{outcome}}")).stack().size(8, 8),
		graph("Objects watched", "Objects of the API server that series are made of, by resource.", number,
			q(`sum by (resource) (crowsnest_kubestate_objects{<self>})`, "{{resource}}")).fromZero().size(8, 8),
		graph("Leaders", "Aggregators that lead: one per lease, no more, no less for longer than the lease lasts.", number,
			q(`sum by (component) (crowsnest_leader_leads{<self>})`, "{{component}}")).fromZero().size(8, 8),
		graph("Trouble of sources", "Reads that failed, targets that cannot be followed, log files that cannot be read. Each is tried again.", perSecond, needs(needFault,
			q(`sum by (resource, reason) (rate(crowsnest_kubestate_errors_total{<self>}[$__rate_interval])) > 0`, "{{resource}} {{reason}}"),
			q(`sum by (source, reason) (rate(crowsnest_scrape_refused_targets_total{<self>}[$__rate_interval])) > 0`, "{{source}} {{reason}}"),
			q(`sum by (operation) (rate(crowsnest_terminations_failures_total{<self>}[$__rate_interval])) > 0`, "exits: {{operation}}"),
			q(`sum by (reason) (rate(crowsnest_containerlogs_read_errors_total{<self>}[$__rate_interval])) > 0`, "logs: {{reason}}"))...).fromZero().good("No trouble").size(8, 8),
	}}
}

func selfCost() Row {
	return Row{Title: "Cost", Panels: []Panel{
		table("Cost by node", "What the agent takes on each node.",
			q(`sum by (instance) (rate(otelcol_process_cpu_seconds_total{<cluster>, job="crowsnest-agent"}[$__rate_interval]))`, "CPU").in(cores).warn(.1, .5),
			q(`sum by (instance) (otelcol_process_memory_rss_bytes{<cluster>, job="crowsnest-agent"})`, "Memory").in(bytes),
			q(`sum by (instance) (rate(crowsnest_received_items_total{<cluster>, job="crowsnest-agent"}[$__rate_interval]))`, "Items").in(itemsPerSec),
			q(`sum by (instance) (crowsnest_spool_bytes{<cluster>, job="crowsnest-agent"})`, "Spool").in(bytes).needs(needSpool)).
			sortBy("CPU").link(toHost),
		graph("CPU", "Cores in use by program.", cores,
			q(`sum by (job, instance) (rate(otelcol_process_cpu_seconds_total{<self>}[$__rate_interval]))`, "{{job}} {{instance}}")).fromZero(),
		graph("Memory", "Resident memory by program.", bytes,
			q(`sum by (job, instance) (otelcol_process_memory_rss_bytes{<self>})`, "{{job}} {{instance}}")).fromZero(),
	}}
}

// unaccounted is what was received and has no fate yet.
func unaccounted(by string) string {
	sum := `sum`
	if by != "" {
		sum = `sum by (` + by + `)`
	}
	received := sum + ` (crowsnest_received_items_total{<self>})`
	return received + ` - ` + sum + ` ({__name__=~"crowsnest_delivered_items_total|crowsnest_queued_items|crowsnest_dropped_items_total", <self>})`
}
