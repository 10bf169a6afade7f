package dashboards

func autoscaling() Dashboard {
	const of = `{<namespace>, horizontalpodautoscaler=~"$hpa"}`
	const name = "{{namespace}}/{{horizontalpodautoscaler}}"
	value := func(metric string) string {
		return `max by (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_` + metric + of + `)`
	}
	before := func(metric string) string {
		return `max by (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_` + metric + of + ` offset $__interval)`
	}
	return Dashboard{
		UID: "crowsnest-autoscaling", Title: "Autoscaling",
		Question: "Do autoscalers follow the load, or have they reached their bounds?",
		Variables: []Variable{clusterVariable, namespaceVariable,
			several("hpa", "Autoscaler", `label_values(kube_horizontalpodautoscaler_spec_max_replicas{<namespace>}, horizontalpodautoscaler)`)},
		Annotations: rollouts("<namespace>"),
		from:        "now-6h",
		Rows: []Row{
			{Title: "Horizontal pod autoscalers", Panels: []Panel{
				table("Autoscalers", "Replicas that each has, wants and may have.", needs(needHPA,
					q(value("status_current_replicas"), "Now").in(number), q(value("status_desired_replicas"), "Wanted").in(number),
					q(value("spec_min_replicas"), "At least").in(number), q(value("spec_max_replicas"), "At most").in(number),
					q(value("status_current_replicas")+` / `+value("spec_max_replicas"), "Of the most").in(ratio).warn(.8, 1))...).
					sortBy("Of the most").good("No autoscalers").link(toNamespace),
				graph("Replicas", "Pods that autoscalers have, with the most they may have.", pods, needs(needHPA,
					q(value("status_current_replicas"), name), limit(value("spec_max_replicas"), name+" at most"))...).fromZero().good("No autoscalers"),
				graph("Wanted minus present", "Pods that an autoscaler wants and does not have yet; what stays does not fit the cluster.", pods,
					q(value("status_desired_replicas")+` - `+value("status_current_replicas"), name).needs(needHPA)).good("No autoscalers"),
				graph("Measured against target", "Value of each metric that an autoscaler follows, as a share of its target. It adds pods above 1.", ratio,
					q(`max by (namespace, horizontalpodautoscaler, metric_name, metric_target_type) (kube_horizontalpodautoscaler_status_target_metric`+of+`)
						/ max by (namespace, horizontalpodautoscaler, metric_name, metric_target_type) (kube_horizontalpodautoscaler_spec_target_metric`+of+`)`, name+" {{metric_name}}").needs(needMeasured)).warn(1).good("No autoscalers"),
				table("Conditions", "ScalingActive false: its metrics cannot be read. ScalingLimited true: it is at a bound. AbleToScale false: it may not act.",
					q(`max by (namespace, horizontalpodautoscaler, condition, status) (kube_horizontalpodautoscaler_status_condition`+of+` == 1)`, "Condition").in(number).needs(needHPA)).
					hide("Value").good("No autoscalers").size(12, 8),
				bars("Wanted replicas changed", "Pods that an autoscaler added (above zero) or took away. Many changes both ways say that it hunts.", number,
					q(value("status_desired_replicas")+` - `+before("status_desired_replicas")+` != 0`, name).needs(needHPA)).good("No changes").size(gridWidth, 7),
			}},
			{Title: "Cluster autoscaler", Panels: []Panel{
				graph("Nodes by state", "Nodes as the cluster autoscaler sees them.", number,
					q(`sum by (state) (cluster_autoscaler_nodes_count{<cluster>})`, "{{state}}").needs(needAutoscaler)).stack().good("No cluster autoscaler"),
				graph("Pods that wait for a node", "Pods that would fit a new node.", pods,
					q(`sum(cluster_autoscaler_unschedulable_pods_count{<cluster>})`, "pods").needs(needAutoscaler)).fromZero().good("No cluster autoscaler"),
				bars("Nodes added and removed", "Counts of nodes.", number, needs(needAutoscaler,
					q(`sum(increase(cluster_autoscaler_scaled_up_nodes_total{<cluster>}[$__interval]))`, "added"),
					q(`sum by (reason) (increase(cluster_autoscaler_scaled_down_nodes_total{<cluster>}[$__interval]))`, "removed {{reason}}"),
					q(`sum by (reason) (increase(cluster_autoscaler_failed_scale_ups_total{<cluster>}[$__interval]))`, "failed {{reason}}"))...).good("No cluster autoscaler"),
				graph("Able to act", "1 while it is safe to add and remove nodes; errors stop it.", number, needs(needAutoscaler,
					q(`min(cluster_autoscaler_cluster_safe_to_autoscale{<cluster>})`, "safe"),
					q(`sum by (type) (rate(cluster_autoscaler_errors_total{<cluster>}[$__rate_interval]))`, "errors {{type}}").in(perSecond))...).fromZero().good("No cluster autoscaler"),
			}},
		},
	}
}
