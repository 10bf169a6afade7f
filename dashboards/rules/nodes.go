package rules

import "strings"

// filesystem is node-mixin's expression: free below a share of all, on a file
// system that is written to; hours is the range and horizon of a prediction.
func filesystem(free, all, horizon string) string {
	const where = `{job="node-exporter",fstype!="",mountpoint!="",mountpoint!~"<ignored>"}`
	expr := `
		node_filesystem_` + free + where + ` / node_filesystem_` + all + where + ` * 100 < <percent>`
	if horizon != "" {
		expr += `
		and
		predict_linear(node_filesystem_` + free + where + `[6h], ` + horizon + ` * 60 * 60) < 0`
	}
	return expr + `
		and
		node_filesystem_readonly` + where + ` == 0`
}

// filesystems are eight alerts on four names.
func filesystems() []Alert {
	var alerts []Alert
	for _, a := range []struct{ name, what, free, all, warn, crit, warnHorizon, critHorizon, wait string }{
		{"NodeFilesystemSpaceFillingUp", "space", "avail_bytes", "size_bytes", "15", "10", "24", "4", "1h"},
		{"NodeFilesystemAlmostOutOfSpace", "space", "avail_bytes", "size_bytes", "5", "3", "", "", "30m"},
		{"NodeFilesystemFilesFillingUp", "inodes", "files_free", "files", "40", "20", "24", "4", "1h"},
		{"NodeFilesystemAlmostOutOfFiles", "inodes", "files_free", "files", "5", "3", "", "", "1h"},
	} {
		for _, s := range []struct{ severity, variant, percent, horizon string }{
			{warning, "Warning", a.warn, a.warnHorizon}, {critical, "Critical", a.crit, a.critHorizon},
		} {
			alert := Alert{Name: a.name, Variant: s.variant, Severity: s.severity, For: a.wait, Board: "node node=instance",
				Params: map[string]string{"percent": s.percent, "ignored": "/var/lib/kubelet/pods/.*"}, Expr: filesystem(a.free, a.all, s.horizon),
				Summary: "A file system has few " + a.what + " left.",
				Text:    `File system {{ $labels.mountpoint }} ({{ $labels.device }}) of node {{ $labels.instance }} has {{ printf "%.2f" $value }}% of its ` + a.what + ` left.`}
			if s.horizon != "" {
				alert.Summary = "A file system will have no " + a.what + " left within " + s.horizon + " hours."
				alert.Text = strings.TrimSuffix(alert.Text, ".") + ` and none within ` + s.horizon + ` hours if it goes on like this.`
			}
			alerts = append(alerts, alert)
		}
	}
	return alerts
}

// nodes are node-mixin's alerts.
func nodes() []Alert {
	const job = `job="node-exporter"`
	network := func(direction string) string {
		return `
		rate(node_network_` + direction + `_errs_total{` + job + `}[2m])
		/
		rate(node_network_` + direction + `_packets_total{` + job + `}[2m]) > <ratio>`
	}
	descriptors := `node_filefd_allocated{` + job + `} * 100 / node_filefd_maximum{` + job + `} > <percent>`
	const tooMany = `Node {{ $labels.instance }} uses {{ printf "%.1f" $value }}% of its file descriptors.`
	return append(filesystems(), []Alert{
		{Name: "NodeNetworkReceiveErrs", Severity: warning, For: "1h", Board: "node node=instance", Params: map[string]string{"ratio": "0.01"}, Expr: network("receive"),
			Summary: "A network interface receives damaged packets.",
			Text:    `{{ $value | humanizePercentage }} of the packets that {{ $labels.device }} of node {{ $labels.instance }} receives have errors.`},
		{Name: "NodeNetworkTransmitErrs", Severity: warning, For: "1h", Board: "node node=instance", Params: map[string]string{"ratio": "0.01"}, Expr: network("transmit"),
			Summary: "A network interface fails to send packets.",
			Text:    `{{ $value | humanizePercentage }} of the packets that {{ $labels.device }} of node {{ $labels.instance }} sends have errors.`},
		{Name: "NodeNetworkInterfaceFlapping", Severity: warning, For: "2m", Board: "node node=instance", Params: map[string]string{"changes": "2"},
			Expr:    `changes(node_network_up{` + job + `,device!~"veth.+"}[2m]) > <changes>`,
			Summary: "A network interface goes up and down.",
			Text:    `Interface {{ $labels.device }} of node {{ $labels.instance }} changed its state {{ $value }} times in 2 minutes.`},
		{Name: "NodeHighNumberConntrackEntriesUsed", Severity: warning, Board: "node node=instance", Params: map[string]string{"ratio": "0.75"},
			Expr:    `node_nf_conntrack_entries{` + job + `} / node_nf_conntrack_entries_limit{` + job + `} > <ratio>`,
			Summary: "The connection table is almost full.",
			Text:    `Node {{ $labels.instance }} uses {{ $value | humanizePercentage }} of its conntrack entries; without a free one new connections fail.`},
		{Name: "NodeTextFileCollectorScrapeError", Severity: warning, Board: "node node=instance",
			Expr:    `node_textfile_scrape_error{` + job + `} == 1`,
			Summary: "A metrics file cannot be read.",
			Text:    `The textfile collector of node {{ $labels.instance }} cannot read one of its files.`},
		{Name: "NodeClockSkewDetected", Severity: warning, For: "10m", Board: "node node=instance", Params: map[string]string{"seconds": "0.05"}, Expr: `
		(node_timex_offset_seconds{` + job + `} > <seconds> and deriv(node_timex_offset_seconds{` + job + `}[5m]) >= 0)
		or
		(node_timex_offset_seconds{` + job + `} < -<seconds> and deriv(node_timex_offset_seconds{` + job + `}[5m]) <= 0)`,
			Summary: "A node's clock is wrong.",
			Text:    `The clock of node {{ $labels.instance }} is off by {{ $value }} s and does not get better.`},
		{Name: "NodeClockNotSynchronising", Severity: warning, For: "10m", Board: "node node=instance", Expr: `
		min_over_time(node_timex_sync_status{` + job + `}[5m]) == 0
		and
		node_timex_maxerror_seconds{` + job + `} >= 16`,
			Summary: "A node's clock is not synchronised.",
			Text:    `Nothing synchronises the clock of node {{ $labels.instance }}.`},
		{Name: "NodeRAIDDegraded", Severity: critical, For: "15m", Board: "node node=instance", Expr: `
		node_md_disks_required{` + job + `,` + disks + `}
		- ignoring (state)
		node_md_disks{` + job + `,` + disks + `,state="active"} > 0`,
			Summary: "A RAID array lacks disks.",
			Text:    `RAID array {{ $labels.device }} of node {{ $labels.instance }} lacks {{ $value }} disks.`},
		{Name: "NodeRAIDDiskFailure", Severity: warning, Board: "node node=instance",
			Expr:    `node_md_disks{` + job + `,` + disks + `,state="failed"} > 0`,
			Summary: "A disk of a RAID array failed.",
			Text:    `{{ $value }} disks of RAID array {{ $labels.device }} of node {{ $labels.instance }} failed.`},
		{Name: "NodeFileDescriptorLimit", Variant: "Warning", Severity: warning, For: "15m", Board: "node node=instance", Params: map[string]string{"percent": "70"}, Expr: descriptors,
			Summary: "A node will run out of file descriptors.", Text: tooMany},
		{Name: "NodeFileDescriptorLimit", Variant: "Critical", Severity: critical, For: "15m", Board: "node node=instance", Params: map[string]string{"percent": "90"}, Expr: descriptors,
			Summary: "A node is about to run out of file descriptors.", Text: tooMany},
		{Name: "NodeCPUHighUsage", Severity: info, For: "15m", Board: "node node=instance", Params: map[string]string{"percent": "90"}, Expr: `
		sum without (mode) (
			avg without (cpu) (rate(node_cpu_seconds_total{` + job + `,mode!~"idle|iowait"}[2m]))
		) * 100 > <percent>`,
			Summary: "A node's CPUs are busy.",
			Text:    `The CPUs of node {{ $labels.instance }} are busy {{ printf "%.1f" $value }}% of the time.`},
		{Name: "NodeSystemSaturation", Severity: warning, For: "15m", Board: "node node=instance", Params: map[string]string{"load": "2"}, Expr: `
		node_load1{` + job + `}
		/
		count without (cpu, mode) (node_cpu_seconds_total{` + job + `,mode="idle"}) > <load>`,
			Summary: "A node has more to do than it can.",
			Text:    `The load of node {{ $labels.instance }} is {{ printf "%.2f" $value }} per CPU.`},
		{Name: "NodeMemoryMajorPagesFaults", Severity: warning, For: "15m", Board: "node node=instance", Params: map[string]string{"rate": "500"},
			Expr:    `rate(node_vmstat_pgmajfault{` + job + `}[5m]) > <rate>`,
			Summary: "A node reads memory back from disk.",
			Text:    `Node {{ $labels.instance }} has {{ printf "%.0f" $value }} major page faults a second.`},
		{Name: "NodeMemoryHighUtilization", Severity: warning, For: "15m", Board: "node node=instance", Params: map[string]string{"percent": "90"}, Expr: `
		100 - (node_memory_MemAvailable_bytes{` + job + `} / node_memory_MemTotal_bytes{` + job + `} * 100) > <percent>`,
			Summary: "A node is short of memory.",
			Text:    `Node {{ $labels.instance }} uses {{ printf "%.1f" $value }}% of its memory.`},
		{Name: "NodeDiskIOSaturation", Severity: warning, For: "30m", Board: "node node=instance", Params: map[string]string{"queue": "10"},
			Expr:    `rate(node_disk_io_time_weighted_seconds_total{` + job + `,` + disks + `}[5m]) > <queue>`,
			Summary: "A disk has more to do than it can.",
			Text:    `{{ printf "%.1f" $value }} requests wait for disk {{ $labels.device }} of node {{ $labels.instance }} on average.`},
		{Name: "NodeSystemdServiceFailed", Severity: warning, For: "5m", Board: "node node=instance",
			Expr:    `node_systemd_unit_state{` + job + `,state="failed"} == 1`,
			Summary: "A systemd service failed.",
			Text:    `Unit {{ $labels.name }} of node {{ $labels.instance }} is in state failed.`},
		{Name: "NodeSystemdServiceCrashlooping", Severity: warning, For: "15m", Board: "node node=instance", Params: map[string]string{"restarts": "2"},
			Expr:    `increase(node_systemd_service_restart_total{` + job + `}[5m]) > <restarts>`,
			Summary: "A systemd service restarts again and again.",
			Text:    `Unit {{ $labels.name }} of node {{ $labels.instance }} restarted {{ printf "%.0f" $value }} times in 5 minutes.`},
		{Name: "NodeBondingDegraded", Severity: warning, For: "5m", Board: "node node=instance",
			Expr:    `(node_bonding_slaves{` + job + `} - node_bonding_active{` + job + `}) != 0`,
			Summary: "A bonded interface lacks links.",
			Text:    `Bond {{ $labels.master }} of node {{ $labels.instance }} lacks {{ $value }} links.`},
	}...)
}

// hosts are alerts on nodes that node-mixin lacks.
func hosts() []Alert {
	const job = `job="node-exporter"`
	return []Alert{
		{Name: "NodeOOMKills", Severity: warning, Board: "node node=instance",
			Expr:    `increase(node_vmstat_oom_kill{` + job + `}[15m]) > 0`,
			Summary: "The kernel killed processes for want of memory.",
			Text:    `The kernel of node {{ $labels.instance }} killed {{ printf "%.0f" $value }} processes in 15 minutes since memory ran out, of the node or of a container.`},
		{Name: "NodeMemoryStalled", Severity: warning, For: "10m", Board: "node node=instance", Params: map[string]string{"ratio": "0.1"},
			Expr:    `rate(node_pressure_memory_stalled_seconds_total{` + job + `}[5m]) > <ratio>`,
			Summary: "A node stands still for want of memory.",
			Text:    `All processes of node {{ $labels.instance }} waited for memory {{ $value | humanizePercentage }} of the time.`},
		{Name: "NodeRebooted", Severity: info, Board: "node node=instance", Params: map[string]string{"seconds": "600"},
			Expr:    `time() - node_boot_time_seconds{` + job + `} < <seconds>`,
			Summary: "A node started.",
			Text:    `Node {{ $labels.instance }} started {{ $value | humanizeDuration }} ago.`},
	}
}
