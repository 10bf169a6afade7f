package rules

// etcd has alerts by the names of etcd's own mixin.
func etcd() []Alert {
	const job = `job=~".*etcd.*"`
	slow := func(series string) string {
		return `
		histogram_quantile(0.99,
			sum by (cluster, job, instance, le) (rate(` + series + `_bucket{` + job + `}[5m]))
		) > <seconds>`
	}
	return []Alert{
		{Name: "etcdMembersDown", Severity: warning, For: "20m", Board: "control-plane", Expr: `
		count by (cluster, job) (up{` + job + `} == 0)
		and on (cluster, job)
		count by (cluster, job) (up{` + job + `} == 1)`,
			Summary: "Members of etcd are down.",
			Text:    `{{ $value }} members of {{ $labels.job }} in cluster {{ $labels.cluster }} do not answer.`},
		{Name: "etcdInsufficientMembers", Severity: critical, For: "3m", Board: "control-plane", Expr: `
		sum by (cluster, job) (up{` + job + `} == bool 1) < (count by (cluster, job) (up{` + job + `}) + 1) / 2
		and on (cluster, job)
		max by (cluster, job) (max_over_time(up{` + job + `}[7d])) == 1`,
			Summary: "etcd has lost its majority.",
			Text:    `Only {{ $value }} members of {{ $labels.job }} in cluster {{ $labels.cluster }} answer, which is no majority: nothing can be written.`},
		{Name: "etcdNoLeader", Severity: critical, For: "1m", Board: "control-plane",
			Expr:    `etcd_server_has_leader{` + job + `} == 0`,
			Summary: "An etcd member has no leader.",
			Text:    `Member {{ $labels.instance }} of {{ $labels.job }} has no leader and serves nothing.`},
		{Name: "etcdHighNumberOfLeaderChanges", Severity: warning, For: "5m", Board: "control-plane", Params: map[string]string{"changes": "4"}, Expr: `
		max by (cluster, job) (increase(etcd_server_leader_changes_seen_total{` + job + `}[15m])) >= <changes>`,
			Summary: "etcd's leader changes often.",
			Text:    `The leader of {{ $labels.job }} in cluster {{ $labels.cluster }} changed {{ printf "%.0f" $value }} times in 15 minutes.`},
		{Name: "etcdHighFsyncDurations", Severity: warning, For: "10m", Board: "control-plane", Params: map[string]string{"seconds": "0.5"},
			Expr:    slow("etcd_disk_wal_fsync_duration_seconds"),
			Summary: "etcd's disk is slow.",
			Text:    `The log of etcd member {{ $labels.instance }} needs {{ $value | humanizeDuration }} (99th percentile) to reach the disk.`},
		{Name: "etcdHighCommitDurations", Severity: warning, For: "10m", Board: "control-plane", Params: map[string]string{"seconds": "0.25"},
			Expr:    slow("etcd_disk_backend_commit_duration_seconds"),
			Summary: "etcd is slow to commit.",
			Text:    `etcd member {{ $labels.instance }} needs {{ $value | humanizeDuration }} (99th percentile) for a commit.`},
		{Name: "etcdDatabaseQuotaLowSpace", Severity: critical, For: "10m", Board: "control-plane", Params: map[string]string{"percent": "95"}, Expr: `
		last_over_time(etcd_mvcc_db_total_size_in_bytes{` + job + `}[5m])
		/
		last_over_time(etcd_server_quota_backend_bytes{` + job + `}[5m]) * 100 > <percent>`,
			Summary: "etcd's database is almost full.",
			Text:    `The database of etcd member {{ $labels.instance }} takes {{ printf "%.1f" $value }}% of its quota; at 100% the cluster is read-only.`},
	}
}

// coredns has alerts by the names of CoreDNS' mixin.
func coredns() []Alert {
	const job = `job=~"kube-dns|coredns"`
	return []Alert{
		down("CoreDNSDown", critical, "kube-dns|coredns", "CoreDNS", "network"),
		{Name: "CoreDNSErrorsHigh", Severity: critical, For: "10m", Board: "network", Params: map[string]string{"ratio": "0.03"}, Expr: `
		sum by (cluster, job) (rate(coredns_dns_responses_total{` + job + `,rcode="SERVFAIL"}[5m]))
		/
		sum by (cluster, job) (rate(coredns_dns_responses_total{` + job + `}[5m])) > <ratio>`,
			Summary: "Names are not resolved.",
			Text:    `CoreDNS of cluster {{ $labels.cluster }} answers {{ $value | humanizePercentage }} of all questions with SERVFAIL.`},
		{Name: "CoreDNSLatencyHigh", Severity: critical, For: "10m", Board: "network", Params: map[string]string{"seconds": "4"}, Expr: `
		histogram_quantile(0.99,
			sum by (cluster, job, server, zone, le) (rate(coredns_dns_request_duration_seconds_bucket{` + job + `}[5m]))
		) > <seconds>`,
			Summary: "Names are resolved slowly.",
			Text:    `CoreDNS of cluster {{ $labels.cluster }} needs {{ $value | humanizeDuration }} (99th percentile) for names of zone {{ $labels.zone }}.`},
		{Name: "CoreDNSForwardErrorsHigh", Severity: warning, For: "10m", Board: "network", Params: map[string]string{"ratio": "0.03"}, Expr: `
		sum by (cluster, job) (rate({__name__=~"coredns_proxy_request_duration_seconds_count|coredns_forward_responses_total",` + job + `,rcode="SERVFAIL"}[5m]))
		/
		sum by (cluster, job) (rate({__name__=~"coredns_proxy_request_duration_seconds_count|coredns_forward_responses_total",` + job + `}[5m])) > <ratio>`,
			Summary: "The name servers behind CoreDNS fail.",
			Text:    `{{ $value | humanizePercentage }} of the questions that CoreDNS of cluster {{ $labels.cluster }} passes on are answered with SERVFAIL.`},
		{Name: "CoreDNSPanicked", Severity: warning, Board: "network", Expr: `
		sum by (cluster, job, instance) (increase(coredns_panics_total{` + job + `}[15m])) > 0`,
			Summary: "CoreDNS panicked.",
			Text:    `CoreDNS at {{ $labels.instance }} panicked {{ printf "%.0f" $value }} times in 15 minutes.`},
	}
}
