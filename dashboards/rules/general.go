package rules

// general are the alerts of kube-prometheus' general.rules.
func general() []Alert {
	return []Alert{
		{Name: "TargetDown", Severity: warning, For: "10m", Board: "self", Params: map[string]string{"percent": "10", "memory": "7d"}, Expr: `
		100 * (
			count by (cluster, job, namespace, service) (up{job!=""<ns>} == 0)
		/
			count by (cluster, job, namespace, service) (up)
		) > <percent>
		unless on (cluster, job)
		max by (cluster, job) (max_over_time(crowsnest_control_plane_scrapable[<memory>])) == 0`,
			Summary: "Targets cannot be scraped.",
			Text:    `{{ printf "%.4g" $value }}% of the targets of job {{ $labels.job }} in namespace {{ $labels.namespace }} do not answer.`},
		{Name: "Watchdog", Severity: "none", Board: "problems", Expr: `vector(1)`,
			Summary: "Alerting works.",
			Text:    `This alert always fires, so that its absence tells that alerts do not reach their receiver.`},
		{Name: "InfoInhibitor", Severity: "none", Board: "problems namespace", Expr: `
		ALERTS{severity="info"<ns>} == 1
		unless on (cluster, namespace)
		ALERTS{alertname!="InfoInhibitor",severity=~"warning|critical",alertstate="firing"} == 1`,
			Summary: "Holds back alerts of severity info.",
			Text:    `Only alerts of severity info fire in namespace {{ $labels.namespace }}: Alertmanager is to inhibit them by this one.`},
	}
}

func alertFiles() []File {
	group := func(name string, alerts ...[]Alert) Group {
		g := Group{Name: name}
		for _, a := range alerts {
			g.Alerts = append(g.Alerts, a...)
		}
		return g
	}
	file := func(name string, groups ...Group) File { return File{Name: name, Groups: groups} }
	return []File{
		file("general", group("general.rules", general())),
		file("workloads", group("kubernetes-apps", workloads()), group("crowsnest-pods", pods())),
		file("resources", group("kubernetes-resources", resources())),
		file("autoscaling", group("kubernetes-autoscaling", autoscaling()), group("crowsnest-autoscaling", scalers())),
		file("storage", group("kubernetes-storage", volumes()), group("crowsnest-storage", claims())),
		file("nodes", group("node-exporter", nodes()), group("kubernetes-system-kubelet", kubelets()), group("crowsnest-nodes", hosts())),
		file("control-plane", group("kubernetes-system", controlPlane()), group("kube-apiserver-slos", apiserverSLOs()),
			group("kube-state-metrics", stateMetrics()), group("crowsnest-control-plane", admission()), group("etcd", etcd()), group("coredns", coredns())),
		file("certificates", group("crowsnest-certificates", certificates())),
		file("services", group("crowsnest-services", services())),
		file("pipeline", group("crowsnest.ledger", ledger()), group("crowsnest-stores", backends()), group("crowsnest-sources", sources())),
		{Name: "logs", Loki: true, Groups: []Group{group("crowsnest-logs", logs())}},
	}
}
