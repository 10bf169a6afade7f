package rules

// workloads are the alerts of kubernetes-apps that kubernetes-mixin has.
func workloads() []Alert {
	const ns = `job="kube-state-metrics"<ns>`
	return []Alert{
		{Name: "KubePodCrashLooping", Severity: warning, For: "15m", Board: "pod namespace pod",
			Expr:    `max_over_time(kube_pod_container_status_waiting_reason{` + ns + `,reason="CrashLoopBackOff"}[5m]) >= 1`,
			Summary: "A container crashes again and again.",
			Text:    `Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} is in state CrashLoopBackOff.`},
		{Name: "KubePodNotReady", Severity: warning, For: "15m", Board: "pod namespace pod", Expr: `
		sum by (cluster, namespace, pod, job) (
			max by (cluster, namespace, pod, job) (
				kube_pod_status_phase{` + ns + `,phase=~"Pending|Unknown"}
			or
				(
					kube_pod_status_phase{` + ns + `,phase="Running"} == 1
				and on (cluster, namespace, pod)
					kube_pod_status_ready{job="kube-state-metrics",condition="true"} == 0
				)
			)
			* on (cluster, namespace, pod) group_left (owner_kind)
			topk by (cluster, namespace, pod) (1,
				max by (cluster, namespace, pod, owner_kind) (kube_pod_owner{owner_kind!="Job"})
			)
		) > 0
		unless on (cluster, namespace, pod)
		max by (cluster, namespace, pod) (kube_pod_status_reason{reason="SchedulingGated"}) == 1`,
			Summary: "A pod is not ready.",
			Text:    `Pod {{ $labels.namespace }}/{{ $labels.pod }} is not ready, for longer than the time allowed.`},
		{Name: "KubeDeploymentGenerationMismatch", Severity: warning, For: "15m", Board: "workloads namespace workload=deployment", Expr: `
		kube_deployment_status_observed_generation{` + ns + `}
		!=
		kube_deployment_metadata_generation{job="kube-state-metrics"}`,
			Summary: "The controller has not taken up a Deployment's change.",
			Text:    `The controller last saw generation {{ $value }} of Deployment {{ $labels.namespace }}/{{ $labels.deployment }}; there is a newer one.`},
		{Name: "KubeDeploymentReplicasMismatch", Severity: warning, For: "15m", Board: "workloads namespace workload=deployment", Expr: `
		(
			kube_deployment_spec_replicas{` + ns + `}
		>
			kube_deployment_status_replicas_available{job="kube-state-metrics"}
		)
		and
		changes(kube_deployment_status_replicas_updated{job="kube-state-metrics"}[10m]) == 0`,
			Summary: "A Deployment has fewer pods available than it should.",
			Text:    `Deployment {{ $labels.namespace }}/{{ $labels.deployment }} should have {{ $value }} replicas, and fewer are available.`},
		{Name: "KubeDeploymentRolloutStuck", Severity: warning, For: "15m", Board: "workloads namespace workload=deployment",
			Expr:    `kube_deployment_status_condition{` + ns + `,condition="Progressing",status="false"} != 0`,
			Summary: "A Deployment's rollout does not progress.",
			Text:    `The rollout of Deployment {{ $labels.namespace }}/{{ $labels.deployment }} went past its progress deadline.`},
		{Name: "KubeStatefulSetReplicasMismatch", Severity: warning, For: "15m", Board: "workloads namespace workload=statefulset", Expr: `
		(
			kube_statefulset_status_replicas_ready{` + ns + `}
		!=
			kube_statefulset_replicas{job="kube-state-metrics"}
		)
		and
		changes(kube_statefulset_status_replicas_updated{job="kube-state-metrics"}[10m]) == 0`,
			Summary: "A StatefulSet does not have the pods that it should.",
			Text:    `StatefulSet {{ $labels.namespace }}/{{ $labels.statefulset }} has {{ $value }} ready replicas, which is not the number asked for.`},
		{Name: "KubeStatefulSetGenerationMismatch", Severity: warning, For: "15m", Board: "workloads namespace workload=statefulset", Expr: `
		kube_statefulset_status_observed_generation{` + ns + `}
		!=
		kube_statefulset_metadata_generation{job="kube-state-metrics"}`,
			Summary: "The controller has not taken up a StatefulSet's change.",
			Text:    `The controller last saw generation {{ $value }} of StatefulSet {{ $labels.namespace }}/{{ $labels.statefulset }}; there is a newer one.`},
		{Name: "KubeStatefulSetUpdateNotRolledOut", Severity: warning, For: "15m", Board: "workloads namespace workload=statefulset", Expr: `
		(
			max by (cluster, namespace, statefulset, job) (
				kube_statefulset_status_current_revision{` + ns + `}
			unless
				kube_statefulset_status_update_revision{job="kube-state-metrics"}
			)
			* on (cluster, namespace, statefulset, job)
			(
				kube_statefulset_replicas{job="kube-state-metrics"}
			!=
				kube_statefulset_status_replicas_updated{job="kube-state-metrics"}
			)
		)
		and on (cluster, namespace, statefulset, job)
		changes(kube_statefulset_status_replicas_updated{job="kube-state-metrics"}[5m]) == 0`,
			Summary: "A StatefulSet's update is not rolled out.",
			Text:    `The update of StatefulSet {{ $labels.namespace }}/{{ $labels.statefulset }} stopped before it reached all {{ $value }} replicas.`},
		{Name: "KubeDaemonSetRolloutStuck", Severity: warning, For: "15m", Board: "workloads namespace workload=daemonset", Expr: `
		(
			(
				kube_daemonset_status_current_number_scheduled{` + ns + `}
			!=
				kube_daemonset_status_desired_number_scheduled{job="kube-state-metrics"}
			)
		or
			kube_daemonset_status_number_misscheduled{` + ns + `} != 0
		or
			(
				kube_daemonset_status_updated_number_scheduled{` + ns + `}
			!=
				kube_daemonset_status_desired_number_scheduled{job="kube-state-metrics"}
			)
		or
			(
				kube_daemonset_status_number_available{` + ns + `}
			!=
				kube_daemonset_status_desired_number_scheduled{job="kube-state-metrics"}
			)
		)
		and
		changes(kube_daemonset_status_updated_number_scheduled{job="kube-state-metrics"}[5m]) == 0`,
			Summary: "A DaemonSet's rollout does not progress.",
			Text:    `DaemonSet {{ $labels.namespace }}/{{ $labels.daemonset }} has pods missing, outdated or unavailable, and that does not change.`},
		{Name: "KubeContainerWaiting", Severity: warning, For: "1h", Board: "pod namespace pod",
			Expr:    `kube_pod_container_status_waiting_reason{` + ns + `,reason!="CrashLoopBackOff"} > 0`,
			Summary: "A container waits to be started.",
			Text:    `Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} waits, reason {{ $labels.reason }}.`},
		{Name: "KubeDaemonSetNotScheduled", Severity: warning, For: "10m", Board: "workloads namespace workload=daemonset", Expr: `
		kube_daemonset_status_desired_number_scheduled{` + ns + `}
		-
		kube_daemonset_status_current_number_scheduled{job="kube-state-metrics"}
		> 0`,
			Summary: "A DaemonSet lacks pods on some nodes.",
			Text:    `{{ $value }} pods of DaemonSet {{ $labels.namespace }}/{{ $labels.daemonset }} are not scheduled.`},
		{Name: "KubeDaemonSetMisScheduled", Severity: warning, For: "15m", Board: "workloads namespace workload=daemonset",
			Expr:    `kube_daemonset_status_number_misscheduled{` + ns + `} > 0`,
			Summary: "A DaemonSet has pods on nodes where none should be.",
			Text:    `{{ $value }} pods of DaemonSet {{ $labels.namespace }}/{{ $labels.daemonset }} run where they are not supposed to.`},
		{Name: "KubeJobNotCompleted", Severity: warning, Board: "workloads namespace workload=job_name", Params: map[string]string{"seconds": "43200"}, Expr: `
		time() - max by (cluster, namespace, job_name) (
			kube_job_status_start_time{` + ns + `}
		and
			kube_job_status_active{job="kube-state-metrics"} > 0
		) > <seconds>`,
			Summary: "A Job runs for too long.",
			Text:    `Job {{ $labels.namespace }}/{{ $labels.job_name }} runs for {{ $value | humanizeDuration }}; <seconds> s are allowed.`},
		{Name: "KubeJobFailed", Severity: warning, For: "15m", Board: "workloads namespace workload=job_name",
			Expr:    `kube_job_failed{` + ns + `} > 0`,
			Summary: "A Job failed.",
			Text:    `Job {{ $labels.namespace }}/{{ $labels.job_name }} failed. Delete it to clear this alert.`},
		{Name: "KubePdbNotEnoughHealthyPods", Severity: warning, For: "15m", Board: "scheduling namespace", Expr: `
		kube_poddisruptionbudget_status_desired_healthy{` + ns + `}
		-
		kube_poddisruptionbudget_status_current_healthy{job="kube-state-metrics"}
		> 0`,
			Summary: "A disruption budget lacks healthy pods.",
			Text:    `PodDisruptionBudget {{ $labels.namespace }}/{{ $labels.poddisruptionbudget }} lacks {{ $value }} healthy pods.`},
	}
}
