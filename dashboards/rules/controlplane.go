package rules

// down is an alert that no instance of a job answers. Only jobs that answered
// within the last days count: the control plane of a managed cluster never does,
// and must not alert.
func down(name, severity, job, title, board string) Alert {
	return Alert{Name: name, Severity: severity, For: "15m", Board: board, Params: map[string]string{"memory": "7d"}, Expr: fill(`
		max by (cluster, job) (max_over_time(up{job=~"<job>"}[<memory>])) == 1
		unless on (cluster, job)
		max by (cluster, job) (up{job=~"<job>"}) == 1`, map[string]string{"job": job}),
		Summary: "No " + title + " can be scraped any more.",
		Text:    `No instance of {{ $labels.job }} in cluster {{ $labels.cluster }} answers a scrape; in the last <memory> one did.`}
}

func unreachable(name, job, title string) Alert {
	return Alert{Name: name, Severity: warning, For: "15m", Board: "control-plane", Params: map[string]string{"memory": "7d"}, Expr: fill(`
		up{job=~"<job>"} == 0
		and on (cluster, job)
		max by (cluster, job) (max_over_time(up{job=~"<job>"}[<memory>])) == 1`, map[string]string{"job": job}),
		Summary: "An instance of the " + title + " cannot be scraped.",
		Text:    `{{ $labels.job }} at {{ $labels.instance }} does not answer a scrape of its metrics.`}
}

// controlPlane are the alerts of kubernetes-system and of the API server,
// scheduler and controller manager.
func controlPlane() []Alert {
	return []Alert{
		{Name: "KubeVersionMismatch", Severity: warning, For: "15m", Board: "control-plane", Expr: `
		count by (cluster) (
			count by (cluster, git_version) (
				label_replace(kubernetes_build_info{job!~"kube-dns|coredns"}, "git_version", "$1", "git_version", "(v[0-9]*.[0-9]*).*")
			)
		) > 1`,
			Summary: "Components of different Kubernetes versions run.",
			Text:    `Components of {{ $value }} minor versions of Kubernetes run in cluster {{ $labels.cluster }}.`},
		{Name: "KubeClientErrors", Severity: warning, For: "15m", Board: "control-plane", Params: map[string]string{"ratio": "0.01"}, Expr: `
		sum by (cluster, instance, job, namespace) (rate(rest_client_requests_total{code=~"5.."}[5m]))
		/
		sum by (cluster, instance, job, namespace) (rate(rest_client_requests_total[5m])) > <ratio>`,
			Summary: "A client of the API server gets errors.",
			Text:    `{{ $value | humanizePercentage }} of the API requests of {{ $labels.job }} at {{ $labels.instance }} end in an error of the server.`},
		{Name: "KubeAggregatedAPIErrors", Severity: warning, For: "10m", Board: "control-plane", Expr: `
		sum by (cluster, instance, name, reason) (increase(aggregator_unavailable_apiservice_total{job="apiserver"}[1m])) > 0`,
			Summary: "An aggregated API reports errors.",
			Text:    `APIService {{ $labels.name }} is unavailable to {{ $labels.instance }}, reason {{ $labels.reason }}.`},
		{Name: "KubeAggregatedAPIDown", Severity: warning, For: "5m", Board: "control-plane", Params: map[string]string{"percent": "85"}, Expr: `
		(1 - max by (cluster, name, namespace) (avg_over_time(aggregator_unavailable_apiservice{job="apiserver"}[10m]))) * 100 < <percent>`,
			Summary: "An aggregated API is down.",
			Text:    `APIService {{ $labels.name }} was available only {{ printf "%.1f" $value }}% of the last 10 minutes.`},
		{Name: "KubeAPITerminatedRequests", Severity: warning, For: "5m", Board: "control-plane", Params: map[string]string{"ratio": "0.2"}, Expr: `
		sum by (cluster) (rate(apiserver_request_terminations_total{job="apiserver"}[10m]))
		/
		(
			sum by (cluster) (rate(apiserver_request_total{job="apiserver"}[10m]))
			+
			sum by (cluster) (rate(apiserver_request_terminations_total{job="apiserver"}[10m]))
		) > <ratio>`,
			Summary: "The API server turns requests away.",
			Text:    `The API servers of cluster {{ $labels.cluster }} ended {{ $value | humanizePercentage }} of their requests themselves.`},
		down("KubeAPIDown", critical, "apiserver", "API server", "control-plane"),
		unreachable("KubeAPIInstanceUnreachable", "apiserver", "API server"),
		down("KubeSchedulerDown", critical, "kube-scheduler", "scheduler", "control-plane"),
		unreachable("KubeSchedulerInstanceUnreachable", "kube-scheduler", "scheduler"),
		down("KubeControllerManagerDown", critical, "kube-controller-manager", "controller manager", "control-plane"),
		unreachable("KubeControllerManagerInstanceUnreachable", "kube-controller-manager", "controller manager"),
	}
}

// admission are alerts on the control plane that kube-prometheus lacks.
func admission() []Alert {
	return []Alert{
		{Name: "KubeAdmissionWebhookErrors", Severity: warning, For: "10m", Board: "control-plane", Params: map[string]string{"rate": "0.1"}, Expr: `
		sum by (cluster, name, operation) (
			rate(apiserver_admission_webhook_rejection_count{job="apiserver",error_type!="no_error"}[5m])
		) > <rate>`,
			Summary: "An admission webhook fails and blocks requests.",
			Text:    `Webhook {{ $labels.name }} failed and so refused {{ $value | humanize }} requests of kind {{ $labels.operation }} a second.`},
		down("KubeProxyDown", critical, "kube-proxy", "kube-proxy", "control-plane"),
		unreachable("KubeProxyInstanceUnreachable", "kube-proxy", "proxy"),
	}
}

// apiserverSLOs are one alert for four pairs of windows; in each the error
// budget of 1% in 30 days is used up faster than it should be.
func apiserverSLOs() []Alert {
	var alerts []Alert
	for _, b := range burns {
		alerts = append(alerts, Alert{Name: "KubeAPIErrorBudgetBurn", Variant: b.long + b.short, Severity: b.severity, For: b.wait,
			Labels: map[string]string{"long": b.long, "short": b.short}, Board: "control-plane",
			Params: map[string]string{"budget": "0.01"}, Expr: `
		sum by (cluster) (apiserver_request:burnrate` + b.long + `) > (` + b.factor + ` * <budget>)
		and on (cluster)
		sum by (cluster) (apiserver_request:burnrate` + b.short + `) > (` + b.factor + ` * <budget>)`,
			Summary: "The API server burns too much of its error budget.",
			Text:    `{{ $value | humanizePercentage }} of the requests to the API servers of cluster {{ $labels.cluster }} failed or were too slow in ` + b.long + `, which uses up the budget of 30 days ` + b.factor + ` times too fast or faster.`})
	}
	return alerts
}

// burn is a pair of windows of the multi-window method of Google's SRE workbook.
type burn struct{ long, short, factor, severity, wait string }

var burns = []burn{
	{"1h", "5m", "14.4", critical, "2m"},
	{"6h", "30m", "6", critical, "15m"},
	{"1d", "2h", "3", warning, "1h"},
	{"3d", "6h", "1", warning, "3h"},
}

// stateMetrics are kube-state-metrics' own alerts; Crowsnest tells the same of itself.
func stateMetrics() []Alert {
	failing := func(what string) string {
		return `
		sum by (cluster) (rate(kube_state_metrics_` + what + `_total{job="kube-state-metrics",result="error"}[5m]))
		/
		sum by (cluster) (rate(kube_state_metrics_` + what + `_total{job="kube-state-metrics"}[5m])) > <ratio>`
	}
	return []Alert{
		{Name: "KubeStateMetricsListErrors", Severity: critical, For: "15m", Board: "self", Params: map[string]string{"ratio": "0.01"}, Expr: failing("list"),
			Summary: "Objects of the cluster cannot be listed.",
			Text:    `{{ $value | humanizePercentage }} of the lists that kube_* metrics of cluster {{ $labels.cluster }} are made of fail: series are missing.`},
		{Name: "KubeStateMetricsWatchErrors", Severity: critical, For: "15m", Board: "self", Params: map[string]string{"ratio": "0.01"}, Expr: failing("watch"),
			Summary: "Objects of the cluster cannot be watched.",
			Text:    `{{ $value | humanizePercentage }} of the watches that kube_* metrics of cluster {{ $labels.cluster }} are made of fail: series are old.`},
		{Name: "KubeStateMetricsShardingMismatch", Severity: critical, For: "15m", Board: "self",
			Expr:    `stdvar by (cluster) (kube_state_metrics_total_shards{job="kube-state-metrics"}) != 0`,
			Summary: "Shards do not agree on their number.",
			Text:    `The kube-state-metrics of cluster {{ $labels.cluster }} run with different --total-shards: objects are missing or doubled.`},
		{Name: "KubeStateMetricsShardsMissing", Severity: critical, For: "15m", Board: "self", Expr: `
		2 ^ max by (cluster) (kube_state_metrics_total_shards{job="kube-state-metrics"}) - 1
		-
		sum by (cluster) (
			2 ^ max by (cluster, shard_ordinal) (kube_state_metrics_shard_ordinal{job="kube-state-metrics"})
		) != 0`,
			Summary: "A shard is missing.",
			Text:    `Shards of the kube-state-metrics of cluster {{ $labels.cluster }} are missing: part of the objects has no kube_* metrics.`},
	}
}
