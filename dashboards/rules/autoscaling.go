package rules

// autoscaling are the alerts of kubernetes-apps on HPAs.
func autoscaling() []Alert {
	const ns = `job="kube-state-metrics"<ns>`
	const hpa = "kube_horizontalpodautoscaler_"
	return []Alert{
		{Name: "KubeHpaReplicasMismatch", Severity: warning, For: "15m", Board: "autoscaling namespace hpa=horizontalpodautoscaler", Expr: `
		(
			` + hpa + `status_desired_replicas{` + ns + `}
		!=
			` + hpa + `status_current_replicas{job="kube-state-metrics"}
		)
		and
		(
			` + hpa + `status_current_replicas{job="kube-state-metrics"}
		>
			` + hpa + `spec_min_replicas{job="kube-state-metrics"}
		)
		and
		(
			` + hpa + `status_current_replicas{job="kube-state-metrics"}
		<
			` + hpa + `spec_max_replicas{job="kube-state-metrics"}
		)
		and
		changes(` + hpa + `status_current_replicas{job="kube-state-metrics"}[15m]) == 0`,
			Summary: "An HPA does not get the replicas that it wants.",
			Text:    `HorizontalPodAutoscaler {{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }} wants {{ $value }} replicas and has had another number for 15 minutes.`},
		{Name: "KubeHpaMaxedOut", Severity: warning, For: "15m", Board: "autoscaling namespace hpa=horizontalpodautoscaler", Expr: `
		(
			` + hpa + `spec_max_replicas{` + ns + `}
		!=
			` + hpa + `spec_min_replicas{job="kube-state-metrics"}
		)
		and
		(
			` + hpa + `status_current_replicas{job="kube-state-metrics"}
		==
			` + hpa + `spec_max_replicas{job="kube-state-metrics"}
		)`,
			Summary: "An HPA is at its maximum.",
			Text:    `HorizontalPodAutoscaler {{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }} runs its maximum of {{ $value }} replicas: it cannot scale further.`},
	}
}

// scalers are alerts on HPAs that kubernetes-mixin lacks, and on the cluster
// autoscaler, under whatever job it is scraped.
func scalers() []Alert {
	const ns = `job="kube-state-metrics"<ns>`
	const hpa = "kube_horizontalpodautoscaler_"
	condition := func(name string) string {
		return `
		max by (cluster, namespace, horizontalpodautoscaler) (
			` + hpa + `status_condition{` + ns + `,condition="` + name + `",status="false"}
		) == 1
		and on (cluster, namespace, horizontalpodautoscaler)
		` + hpa + `status_current_replicas{job="kube-state-metrics"} > 0`
	}
	return []Alert{
		{Name: "KubeHpaMetricsUnavailable", Severity: warning, For: "15m", Board: "autoscaling namespace hpa=horizontalpodautoscaler", Expr: condition("ScalingActive"),
			Summary: "An HPA cannot read its metrics.",
			Text:    `HorizontalPodAutoscaler {{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }} gets no metrics and does not scale.`},
		{Name: "KubeHpaUnableToScale", Severity: warning, For: "15m", Board: "autoscaling namespace hpa=horizontalpodautoscaler", Expr: condition("AbleToScale"),
			Summary: "An HPA cannot change its target.",
			Text:    `HorizontalPodAutoscaler {{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }} cannot read or change the scale of its target.`},
		{Name: "ClusterAutoscalerUnsafe", Severity: warning, For: "15m", Board: "autoscaling",
			Expr:    `max by (cluster, job) (cluster_autoscaler_cluster_safe_to_autoscale) == 0`,
			Summary: "The cluster autoscaler has stopped.",
			Text:    `The cluster autoscaler (job {{ $labels.job }}) finds the cluster {{ $labels.cluster }} too unhealthy to scale.`},
		{Name: "ClusterAutoscalerScaleUpFailing", Severity: warning, Board: "autoscaling", Expr: `
		sum by (cluster, reason) (increase(cluster_autoscaler_failed_scale_ups_total[30m])) > 0`,
			Summary: "The cluster autoscaler cannot add nodes.",
			Text:    `Scale-ups of cluster {{ $labels.cluster }} failed {{ printf "%.0f" $value }} times in 30 minutes, reason {{ $labels.reason }}.`},
		{Name: "ClusterAutoscalerPodsUnschedulable", Severity: warning, For: "20m", Board: "autoscaling",
			Expr:    `max by (cluster) (cluster_autoscaler_unschedulable_pods_count) > 0`,
			Summary: "The cluster autoscaler makes no room for pods.",
			Text:    `{{ $value }} pods of cluster {{ $labels.cluster }} fit on no node, and the cluster autoscaler has not added one.`},
	}
}
