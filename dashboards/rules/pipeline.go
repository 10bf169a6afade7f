package rules

// agents are the nodes that an agent tells of itself from.
const agents = `(up{job="crowsnest-agent"} == 1 or on (cluster, instance) max by (cluster, instance) (crowsnest_received_items_total{job="crowsnest-agent"}))`

func ledger() []Alert {
	return []Alert{
		{Name: "CrowsnestItemsDropped", Severity: warning, Board: "self", Params: map[string]string{"items": "0"}, Expr: `
		sum by (cluster, job, signal, component, reason) (increase(crowsnest_dropped_items_total[15m])) > <items>`,
			Summary: "Crowsnest gave up data for good.",
			Text:    `{{ $labels.component }} of {{ $labels.job }} dropped {{ printf "%.0f" $value }} items of {{ $labels.signal }} in 15 minutes, reason {{ $labels.reason }}. They are in no store.`},
		// Scrapes catch items on their way: only what was lost without a trace
		// stays in the lowest difference of an hour.
		{Name: "CrowsnestItemsUnaccounted", Severity: warning, For: "5m", Board: "self", Params: map[string]string{"items": "0"}, Expr: `
		min_over_time((
			(
				sum by (cluster, job, instance, signal) (crowsnest_received_items_total)
			-
				sum by (cluster, job, instance, signal) (
					{__name__=~"crowsnest_delivered_items_total|crowsnest_queued_items|crowsnest_dropped_items_total"}
				)
			)
		or
			sum by (cluster, job, instance, signal) (crowsnest_received_items_total)
		)[1h:1m]) > <items>`,
			Summary: "Crowsnest cannot account for data that it received.",
			Text:    `{{ $labels.instance }} of {{ $labels.job }} received {{ printf "%.0f" $value }} items of {{ $labels.signal }} more than it delivered, queued or dropped, for an hour. This is a defect; please report it.`},
		{Name: "CrowsnestQueueOld", Severity: warning, For: "5m", Board: "self", Params: map[string]string{"seconds": "300"}, Expr: `
		max by (cluster, job, instance, component) (crowsnest_spool_oldest_entry_age_seconds) > <seconds>`,
			Summary: "Data waits on a node.",
			Text:    `{{ $labels.component }} on {{ $labels.instance }} has not delivered for {{ $value | humanizeDuration }}: the aggregators or the store behind them do not answer. When the spool is full the oldest data is dropped.`},
		{Name: "CrowsnestSpoolFaults", Severity: warning, Board: "self", Expr: `
		sum by (cluster, job, instance, component, operation) (increase(crowsnest_spool_faults_total[15m])) > 0`,
			Summary: "The disk of a spool fails.",
			Text:    `{{ $labels.component }} on {{ $labels.instance }} failed {{ printf "%.0f" $value }} times in 15 minutes to {{ $labels.operation }} its files. Nothing is lost yet.`},
		{Name: "CrowsnestLogsLost", Severity: warning, Board: "self", Expr: `
		sum by (cluster, job, instance) (increase(crowsnest_containerlogs_lost_files_total[15m])) > 0`,
			Summary: "Log files went before they were delivered.",
			Text:    `On {{ $labels.instance }} {{ printf "%.0f" $value }} log files were deleted or damaged in 15 minutes before their end was in a store.`},
		{Name: "CrowsnestLogsLag", Severity: warning, For: "15m", Board: "self", Params: map[string]string{"bytes": "100e6"}, Expr: `
		max by (cluster, job, instance) (crowsnest_containerlogs_lag_bytes) > <bytes>`,
			Summary: "Log lines are delivered late.",
			Text:    `On {{ $labels.instance }} {{ $value | humanize1024 }}B of log files are not delivered yet.`},
	}
}

func backends() []Alert {
	const requests = `{__name__=~"crowsnest_(loki|prometheus|jaeger)_requests_total"`
	return []Alert{
		// A short range: it is part of the time until somebody is told.
		{Name: "CrowsnestStoreUnavailable", Severity: critical, For: "5m", Board: "self", Expr: `
		sum by (cluster, component) (rate(` + requests + `,code!~"2..|OK"}[2m])) > 0
		unless on (cluster, component)
		sum by (cluster, component) (rate(` + requests + `,code=~"2..|OK"}[2m])) > 0`,
			Summary: "A store takes nothing.",
			Text:    `No request of exporter {{ $labels.component }} succeeded lately, and some failed. Logs wait in their files, metrics and traces in the agents' spools, until these are full.`},
		{Name: "CrowsnestStoreRefuses", Severity: warning, For: "5m", Board: "self", Expr: `
		sum by (cluster, component, code) (
			increase(` + requests + `,code=~"4..|InvalidArgument|PermissionDenied|Unauthenticated|Unimplemented|FailedPrecondition|OutOfRange",code!="429"}[15m])
		) > 0`,
			Summary: "A store refuses data.",
			Text:    `The store behind exporter {{ $labels.component }} refused {{ printf "%.0f" $value }} requests in 15 minutes with code {{ $labels.code }}.`},
		{Name: "CrowsnestStoreSlow", Severity: warning, For: "15m", Board: "self", Params: map[string]string{"ratio": "0.5"}, Expr: `
		sum by (cluster, component) (rate(` + requests + `,code=~"429|5..|none|ResourceExhausted|Unavailable|DeadlineExceeded"}[10m]))
		/
		sum by (cluster, component) (rate(` + requests + `}[10m])) > <ratio>`,
			Summary: "A store cannot keep up.",
			Text:    `{{ $value | humanizePercentage }} of the requests of exporter {{ $labels.component }} are put off by its store and repeated.`},
		{Name: "CrowsnestSeriesLimit", Severity: warning, For: "5m", Board: "self", Expr: `
		sum by (cluster, component, reason) (increase(crowsnest_prometheus_untracked_points_total[15m])) > 0`,
			Summary: "There are more series than the exporter may know.",
			Text:    `{{ printf "%.0f" $value }} points of exporter {{ $labels.component }} found no place among its series in 15 minutes ({{ $labels.reason }}): max_bytes is too small.`},
		{Name: "CrowsnestAggregatorDown", Severity: critical, For: "5m", Board: "self", Params: map[string]string{"memory": "1d"}, Expr: `
		group by (cluster, job) (last_over_time(crowsnest_received_items_total{job="crowsnest-aggregator"}[<memory>]))
		unless on (cluster, job)
		group by (cluster, job) (crowsnest_received_items_total{job="crowsnest-aggregator"})`,
			Summary: "No aggregator tells of itself.",
			Text:    `No crowsnest-aggregator of cluster {{ $labels.cluster }} reports; in the last <memory> one did. Agents keep their data until it is back.`},
		{Name: "CrowsnestNodeWithoutAgent", Severity: warning, For: "10m", Board: "self", Params: map[string]string{"memory": "1d", "ignored": "fargate-.+|virtual-.+"}, Expr: `
		max by (cluster, node) (kube_node_info{job="kube-state-metrics",node!~"<ignored>"})
		and on (cluster)
		group by (cluster) (last_over_time(crowsnest_received_items_total{job="crowsnest-agent"}[<memory>]))
		unless on (cluster, node)
		` + named(agents),
			Summary: "A node is not watched.",
			Text:    `No crowsnest-agent of node {{ $labels.node }} reports: logs, metrics and traces of that node are missing or wait.`},
		{Name: "CrowsnestCertificateExpiring", Severity: warning, Board: "self", Params: map[string]string{"seconds": "1209600"}, Expr: `
		min by (cluster, job, instance, usage) (crowsnest_certificate_expiry_timestamp_seconds) - time() < <seconds>`,
			Summary: "A certificate of Crowsnest is about to end.",
			Text:    `The {{ $labels.usage }} certificate of {{ $labels.instance }} ({{ $labels.job }}) ends in {{ $value | humanizeDuration }}; then agents and aggregators do not trust each other.`},
	}
}

func sources() []Alert {
	return []Alert{
		{Name: "CrowsnestScrapesFailing", Severity: warning, For: "10m", Board: "self", Params: map[string]string{"ratio": "0.5"}, Expr: `
		sum by (cluster, job, instance, path) (rate(crowsnest_kubelet_scrapes_total{outcome!="ok"}[5m]))
		/
		sum by (cluster, job, instance, path) (rate(crowsnest_kubelet_scrapes_total[5m])) > <ratio>`,
			Summary: "A kubelet's metrics cannot be read.",
			Text:    `{{ $value | humanizePercentage }} of the scrapes of {{ $labels.path }} on {{ $labels.instance }} fail.`},
		{Name: "CrowsnestLogsUnreadable", Severity: warning, For: "10m", Board: "self", Expr: `
		sum by (cluster, job, instance, reason) (increase(crowsnest_containerlogs_read_errors_total[10m])) > 0`,
			Summary: "Log files cannot be read.",
			Text:    `The agent on {{ $labels.instance }} failed {{ printf "%.0f" $value }} times in 10 minutes to read log files, reason {{ $labels.reason }}.`},
		{Name: "CrowsnestPodsUnknown", Severity: warning, For: "5m", Board: "self", Params: map[string]string{"seconds": "300"}, Expr: `
		max by (cluster, job, instance) (crowsnest_kubepods_last_answer_age_seconds) > <seconds>`,
			Summary: "An agent does not learn of new pods.",
			Text:    `The agent on {{ $labels.instance }} has not heard of its pods for {{ $value | humanizeDuration }}: new pods' data lack their labels.`},
		{Name: "CrowsnestClusterStateErrors", Severity: warning, For: "10m", Board: "self", Expr: `
		sum by (cluster, job, instance, resource) (increase(crowsnest_kubestate_errors_total[10m])
			or label_replace(increase(crowsnest_kubeevents_errors_total{reason!="expired"}[10m]), "resource", "events", "", "")) > 0`,
			Summary: "Objects of the cluster cannot be read.",
			Text:    `{{ $labels.instance }} ({{ $labels.job }}) failed {{ printf "%.0f" $value }} times in 10 minutes to read {{ $labels.resource }}: their kube_* series, or of events their lines in Loki, are missing or old.`},
		{Name: "CrowsnestTerminationsUnseen", Severity: warning, For: "10m", Board: "self", Expr: `
		max by (cluster, job, instance) (crowsnest_terminations_stream_up) == 0`,
			Summary: "An agent does not see how containers end.",
			Text:    `The agent on {{ $labels.instance }} gets no events from the container runtime: short-lived exits and OOM kills may be missed.`},
		{Name: "CrowsnestNodeCollectorHangs", Severity: warning, For: "10m", Board: "self", Expr: `
		max by (cluster, job, instance) (crowsnest_node_hanging_collectors) > 0`,
			Summary: "A collector of node metrics hangs.",
			Text:    `{{ $value }} collectors of node metrics on {{ $labels.instance }} do not come back, mostly because of a file system that does not answer.`},
	}
}
