package dashboards

func workloads() Dashboard {
	return Dashboard{
		UID: "crowsnest-workloads", Title: "Workloads",
		Question:    "How does a workload do, and do its pods fit it?",
		Variables:   []Variable{clusterVariable, namespaceVariable, workloadVariable},
		Annotations: happenings("<namespace>"),
		Rows: []Row{
			workloadComparison(),
			workloadUse(),
			workloadReplicas(),
			workloadJobs(),
			workloadTrouble(),
		},
	}
}

func workloadComparison() Row {
	return Row{Title: "Comparison", Panels: []Panel{
		table("Workloads", "Deployments, StatefulSets, DaemonSets, Jobs and what else owns pods, with the use of their pods.",
			needs(needRules,
				q(`count by (namespace, workload, workload_type) (namespace_workload_pod:kube_pod_owner:relabel{<workload>})`, "Pods").in(number),
				q(sumByOwner(`sum by (cluster, namespace, pod) (kube_pod_status_ready{<namespace>, condition="true"})`), "Ready").in(number),
				q(sumByOwner(`sum by (cluster, namespace, pod) (rate(container_cpu_usage_seconds_total{<namespace>, <container>}[$__rate_interval]))`), "CPU").in(cores),
				q(sumByOwner(`sum by (cluster, namespace, pod) (kube_pod_container_resource_requests{<namespace>, resource="cpu"})`), "CPU requests").in(cores),
				q(sumByOwner(`sum by (cluster, namespace, pod) (container_memory_working_set_bytes{<namespace>, <container>})`), "Memory").in(bytes),
				q(sumByOwner(`sum by (cluster, namespace, pod) (kube_pod_container_resource_limits{<namespace>, resource="memory"})`), "Memory limits").in(bytes),
				q(`round(`+sumByOwner(`sum by (cluster, namespace, pod) (increase(kube_pod_container_status_restarts_total{<namespace>}[$__range]))`)+`)`, "Restarts").in(number).warn(1, 10))...).
			sortBy("CPU").link(toWorkload).size(gridWidth, 10),
	}}
}

func workloadUse() Row {
	return Row{Title: "Processor and memory", Panels: []Panel{
		byWorkload("CPU", "Cores in use.", cores, `sum by (cluster, namespace, pod) (rate(container_cpu_usage_seconds_total{<namespace>, <container>}[$__rate_interval]))`).stack(),
		byWorkload("Memory", "Memory in use that cannot be taken back.", bytes, `sum by (cluster, namespace, pod) (container_memory_working_set_bytes{<namespace>, <container>})`).stack(),
		graph("CPU throttled", "Share of scheduling periods in which a workload's containers were stopped at their CPU limit.", ratio,
			q(`sum by (namespace, workload) (sum by (cluster, namespace, pod) (rate(container_cpu_cfs_throttled_periods_total{<namespace>, container!=""}[$__rate_interval])) * <owner>)
				/ sum by (namespace, workload) (sum by (cluster, namespace, pod) (rate(container_cpu_cfs_periods_total{<namespace>, container!=""}[$__rate_interval])) * <owner>)`, "{{namespace}}/{{workload}}").needs(needThrottling)).share().link(toWorkload),
		graph("Memory of limit", "The fullest container of a workload against its limit. At 1 the kernel kills it.", ratio,
			q(`max by (namespace, workload) (max by (cluster, namespace, pod) (sum by (cluster, namespace, pod, container) (container_memory_working_set_bytes{<namespace>, <container>})
				/ on (cluster, namespace, pod, container) max by (cluster, namespace, pod, container) (kube_pod_container_resource_limits{<namespace>, resource="memory"})) * <owner>)`, "{{namespace}}/{{workload}}").needs(needLimits)).share().warn(.8, .95).link(toWorkload),
	}}
}

func workloadReplicas() Row {
	return Row{Title: "Replicas and rollouts", Panels: []Panel{
		graph("Deployments: pods missing", "Wanted minus available. A rollout shows as a bump; what stays is trouble.", pods,
			q(`kube_deployment_spec_replicas{<namespace>, deployment=~"$workload"} - kube_deployment_status_replicas_available{<namespace>, deployment=~"$workload"}`, "{{namespace}}/{{deployment}}")).fromZero(),
		graph("StatefulSets: pods missing", "Wanted minus ready.", pods,
			q(`kube_statefulset_replicas{<namespace>, statefulset=~"$workload"} - kube_statefulset_status_replicas_ready{<namespace>, statefulset=~"$workload"}`, "{{namespace}}/{{statefulset}}").needs(needStatefulSet)).fromZero(),
		graph("DaemonSets: pods missing", "Wanted minus available.", pods,
			q(`kube_daemonset_status_desired_number_scheduled{<namespace>, daemonset=~"$workload"} - kube_daemonset_status_number_available{<namespace>, daemonset=~"$workload"}`, "{{namespace}}/{{daemonset}}").needs(needDaemonSet)).fromZero(),
		graph("Rollout in progress", "Pods of a Deployment that are not of its newest revision yet.", pods,
			q(`kube_deployment_status_replicas{<namespace>, deployment=~"$workload"} - kube_deployment_status_replicas_updated{<namespace>, deployment=~"$workload"}`, "{{namespace}}/{{deployment}}")).fromZero(),
	}}
}

func workloadJobs() Row {
	return Row{Title: "Jobs", Panels: []Panel{
		table("CronJobs", "When they ran, last succeeded and run next.", needs(needCronJob,
			q(`max by (namespace, cronjob) (kube_cronjob_status_last_schedule_time{<namespace>}) * 1000`, "Last run").in(moment),
			q(`max by (namespace, cronjob) (kube_cronjob_status_last_successful_time{<namespace>}) * 1000`, "Last success").in(moment),
			q(`max by (namespace, cronjob) (kube_cronjob_next_schedule_time{<namespace>}) * 1000`, "Next run").in(moment),
			q(`max by (namespace, cronjob) (kube_cronjob_spec_suspend{<namespace>})`, "Suspended").in("bool_yes_no"))...).size(12, 8),
		table("Jobs", "Pods of each Job by outcome, and how long it took.", needs(needJob,
			q(`max by (namespace, job_name) (kube_job_status_active{<namespace>})`, "Active").in(number),
			q(`max by (namespace, job_name) (kube_job_status_succeeded{<namespace>})`, "Succeeded").in(number),
			q(`sum by (namespace, job_name) (kube_job_status_failed{<namespace>})`, "Failed").in(number).warn(1),
			q(`max by (namespace, job_name) (kube_job_status_completion_time{<namespace>} - kube_job_status_start_time{<namespace>})`, "Took").in(duration))...).size(12, 8),
	}}
}

func workloadTrouble() Row {
	return Row{Title: "Network and trouble", Panels: []Panel{
		byWorkload("Received", "Bytes per second that the workload's pods received.", bytesPerSec, `sum by (cluster, namespace, pod) (rate(container_network_receive_bytes_total{<namespace>}[$__rate_interval]))`),
		byWorkload("Sent", "Bytes per second that the workload's pods sent.", bytesPerSec, `sum by (cluster, namespace, pod) (rate(container_network_transmit_bytes_total{<namespace>}[$__rate_interval]))`),
		bars("Restarts", "Container restarts by workload.", number,
			q(`round(`+sumByOwner(`sum by (cluster, namespace, pod) (increase(kube_pod_container_status_restarts_total{<namespace>}[$__interval]))`)+`) > 0`, "{{namespace}}/{{workload}}").needs(needTermination)).good("Nothing restarted").link(toWorkload),
		table("Pods", "The pods behind the chosen workloads.", needs(needRules,
			q(`max by (namespace, workload, pod) (namespace_workload_pod:kube_pod_owner:relabel{<workload>})`, "Pod").in(number),
			q(`sum by (namespace, workload, pod) (sum by (cluster, namespace, pod) (kube_pod_container_status_restarts_total{<namespace>}) * <owner>)`, "Restarts since start").in(number).warn(1, 10))...).
			hide("Value #A").link(toPod, podLogs).size(12, 8),
	}}
}

// sumByOwner adds a value of pods up by what owns them.
func sumByOwner(perPod string) string {
	return `sum by (namespace, workload, workload_type) (` + perPod + ` * <owner>)`
}

// byWorkload adds a value of pods up by what owns them.
func byWorkload(title, description, unit, perPod string) Panel {
	return graph(title, description, unit, q(`sum by (namespace, workload) (`+perPod+` * <owner>)`, "{{namespace}}/{{workload}}").needs(needRules)).
		link(toWorkload)
}
