package rules

func recordFiles() []File {
	return []File{nodeRecords(), kubernetesRecords(), apiserverRecords(), serviceRecords()}
}

// onNode gives series of pods the node that the pod is on.
const onNode = `
		* on (cluster, namespace, pod) group_left (node)
		topk by (cluster, namespace, pod) (1,
			max by (cluster, namespace, pod, node) (kube_pod_info{job="kube-state-metrics",node!=""})
		)`

// active are pods that hold what they request.
const active = `max by (cluster, namespace, pod) (
			kube_pod_status_phase{job="kube-state-metrics",phase=~"Pending|Running"} == 1
		)`

func kubernetesRecords() File {
	return File{Name: "kubernetes-records", Groups: []Group{
		{Name: "k8s.rules.containers", Records: containerRecords()},
		{Name: "k8s.rules.resources", Records: resourceRecords()},
		{Name: "k8s.rules.pod_owner", Records: ownerRecords()},
		{Name: "kubelet.rules", Records: quantiles(
			"node_quantile:kubelet_pleg_relist_duration_seconds:histogram_quantile", `
		histogram_quantile(<q>,
			sum by (cluster, instance, le) (
				rate(kubelet_pleg_relist_duration_seconds_bucket{job="kubelet",metrics_path="/metrics"}[5m])
			)
			* on (cluster, instance) group_left (node)
			max by (cluster, instance, node) (kubelet_node_name{job="kubelet",metrics_path="/metrics"})
		)`)},
		{Name: "kube-scheduler.rules", Records: schedulerRecords()},
	}}
}

func containerRecords() []Record {
	const prefix = "node_namespace_pod_container:"
	var records []Record
	for _, cpu := range []struct{ suffix, rate string }{{"sum_rate5m", "rate"}, {"sum_irate", "irate"}} {
		records = append(records, Record{Name: prefix + "container_cpu_usage_seconds_total:" + cpu.suffix, Expr: `
		sum by (cluster, namespace, pod, container) (
			` + cpu.rate + `(container_cpu_usage_seconds_total{job="kubelet",metrics_path="/metrics/cadvisor",image!=""}[5m])
		)` + onNode})
	}
	for _, kind := range []string{"working_set_bytes", "rss", "cache", "swap"} {
		records = append(records, Record{Name: prefix + "container_memory_" + kind, Expr: `
		container_memory_` + kind + `{job="kubelet",metrics_path="/metrics/cadvisor",image!=""}` + onNode})
	}
	return records
}

func resourceRecords() []Record {
	var records []Record
	for _, kind := range []string{"requests", "limits"} {
		for _, resource := range []string{"memory", "cpu"} {
			series := `kube_pod_container_resource_` + kind + `{job="kube-state-metrics",resource="` + resource + `"}`
			records = append(records,
				Record{Name: "cluster:namespace:pod_" + resource + ":active:kube_pod_container_resource_" + kind, Expr: `
		` + series + `
		* on (cluster, namespace, pod) group_left ()
		` + active},
				Record{Name: "namespace_" + resource + ":kube_pod_container_resource_" + kind + ":sum", Expr: `
		sum by (cluster, namespace) (
		  max by (cluster, namespace, pod, container) (` + series + `)
		* on (cluster, namespace, pod) group_left ()
		` + active + `
		)`})
		}
	}
	return records
}

// ownerRecords tell the workload that each pod belongs to: the highest owner
// that is known, with its kind in the label workload_type.
func ownerRecords() []Record {
	record := func(workloadType, expr string) Record {
		r := Record{Name: "namespace_workload_pod:kube_pod_owner:relabel", Expr: expr}
		if workloadType != "" {
			r.Labels = map[string]string{"workload_type": workloadType}
		}
		return r
	}
	pods := func(owner string) string { return `kube_pod_owner{job="kube-state-metrics",` + owner + `}` }
	renamed := func(series, to, from string) string {
		return `label_replace(` + series + `, "` + to + `", "$1", "` + from + `", "(.+)")`
	}
	direct := func(owner, name string) string {
		return `max by (cluster, namespace, workload, pod) (` + renamed(pods(owner), "workload", name) + `)`
	}
	// above looks one owner higher: from a ReplicaSet to its Deployment.
	above := func(kind, label, owners, name, keep string) string {
		return `
		max by (cluster, namespace, workload, pod` + keep + `) (
			` + renamed(renamed(renamed(pods(`owner_kind="`+kind+`"`), label, "owner_name")+`
				* on (cluster, namespace, `+label+`) group_left (owner_name, owner_kind)
				topk by (cluster, namespace, `+label+`) (1,
					max by (cluster, namespace, `+label+`, owner_name, owner_kind) (`+owners+`)
				)`, "workload", name), "workload_type", "owner_kind") + `
		)`
	}
	const replicasets, jobs = `kube_replicaset_owner{job="kube-state-metrics",`, `kube_job_owner{job="kube-state-metrics",`
	const known = `owner_kind!="",owner_kind!="ReplicaSet",owner_kind!="DaemonSet",owner_kind!="StatefulSet",owner_kind!="Job",owner_kind!="Node"`
	return []Record{
		record("deployment", above("ReplicaSet", "replicaset", replicasets+`owner_kind="Deployment"}`, "owner_name", "")),
		record("replicaset", above("ReplicaSet", "replicaset", replicasets+`owner_kind=""}`, "replicaset", "")),
		record("daemonset", direct(`owner_kind="DaemonSet"`, "owner_name")),
		record("statefulset", direct(`owner_kind="StatefulSet"`, "owner_name")),
		record("job", above("Job", "job_name", jobs+`owner_kind=~"Pod|"}`, "job_name", "")),
		record("barepod", direct(`owner_kind="",owner_name=""`, "pod")),
		record("staticpod", direct(`owner_kind="Node"`, "pod")),
		// Owners of other kinds: of ReplicaSets (Rollout), of Jobs (CronJob), of pods.
		record("", above("ReplicaSet", "replicaset", replicasets+`owner_kind!="",owner_kind!="Deployment"}`, "owner_name", ", workload_type")+"\n\t\tor"+
			above("Job", "job_name", jobs+`owner_kind!="",owner_kind!="Pod"}`, "owner_name", ", workload_type")+"\n\t\tor\n\t\t"+
			`max by (cluster, namespace, workload, workload_type, pod) (`+
			renamed(renamed(pods(known), "workload", "owner_name"), "workload_type", "owner_kind")+`)`),
	}
}

func schedulerRecords() []Record {
	var records []Record
	for _, what := range []string{"scheduling_attempt", "scheduling_algorithm", "pod_scheduling_sli"} {
		series := "scheduler_" + what + "_duration_seconds"
		records = append(records, quantiles("cluster_quantile:"+series+":histogram_quantile",
			`histogram_quantile(<q>, sum without (instance, pod) (rate(`+series+`_bucket{job="kube-scheduler"}[5m])))`)...)
	}
	return records
}

// quantiles records an expression for the usual quantiles.
func quantiles(name, expr string) []Record {
	var records []Record
	for _, q := range []string{"0.99", "0.9", "0.5"} {
		records = append(records, Record{Name: name, Expr: fill(expr, map[string]string{"q": q}),
			Labels: map[string]string{"quantile": q}})
	}
	return records
}
