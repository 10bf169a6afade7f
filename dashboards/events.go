package dashboards

func events() Dashboard {
	return Dashboard{
		UID: "crowsnest-events", Title: "Changes and events",
		Question:    "What changed before it went wrong?",
		Variables:   []Variable{clusterVariable, namespaceVariable},
		Annotations: happenings("<namespace>"),
		from:        "now-6h",
		Rows: []Row{
			{Title: "Rollouts", Panels: []Panel{
				table("Rollouts", "ReplicaSets that Deployments made in the chosen time, each a new revision.",
					q(`max by (namespace, owner_name, replicaset) ((kube_replicaset_created{<namespace>} > time() - $__range_s)
						* on (cluster, namespace, replicaset) group_left (owner_name) kube_replicaset_owner{<namespace>, owner_kind="Deployment"}) * 1000`, "Created").in(moment).needs(needRollout),
					q(`max by (namespace, owner_name, replicaset) ((kube_replicaset_spec_replicas{<namespace>} and on (cluster, namespace, replicaset) kube_replicaset_created{<namespace>} > time() - $__range_s)
						* on (cluster, namespace, replicaset) group_left (owner_name) kube_replicaset_owner{<namespace>, owner_kind="Deployment"})`, "Pods wanted").in(number).needs(needRollout)).
					sortBy("Created").good("No rollout").size(12, 9),
				table("Images", "Images in use, by how many containers: two versions of one image are a rollout under way or stuck.",
					q(`count by (namespace, image) (kube_pod_container_info{<namespace>})`, "Containers").in(number)).sortBy("Containers").size(12, 9),
				graph("Wanted pods", "Replicas that Deployments ask for. A step is somebody or an autoscaler.", pods,
					q(`kube_deployment_spec_replicas{<namespace>} and on (cluster, namespace, deployment) changes(kube_deployment_spec_replicas{<namespace>}[$__range]) > 0`, "{{namespace}}/{{deployment}}").needs(needRollout)).
					good("Nothing was scaled"),
				bars("Changed specifications", "Generations that controllers took up: every change of a Deployment, StatefulSet or DaemonSet.", number,
					q(`sum by (namespace, deployment) (kube_deployment_status_observed_generation{<namespace>} - kube_deployment_status_observed_generation{<namespace>} offset $__interval) > 0`, "{{namespace}}/{{deployment}}").needs(needRollout),
					q(`sum by (namespace, statefulset) (kube_statefulset_status_observed_generation{<namespace>} - kube_statefulset_status_observed_generation{<namespace>} offset $__interval) > 0`, "{{namespace}}/{{statefulset}}").needs(needRollout),
					q(`sum by (namespace, daemonset) (kube_daemonset_status_observed_generation{<namespace>} - kube_daemonset_status_observed_generation{<namespace>} offset $__interval) > 0`, "{{namespace}}/{{daemonset}}").needs(needRollout)).good("Nothing changed"),
			}},
			{Title: "Kubernetes events", Panels: []Panel{
				bars("Warnings by reason", "Events of type Warning, by reason.", number,
					lq(`sum by (k8s_event_reason) (count_over_time(`+kubeEvents("<namespace>", warning)+` [$__auto]))`, "{{k8s_event_reason}}")).good("No warning"),
				ranking("Warnings by object", "The ten objects with most events of type Warning in the chosen time.", number,
					lq(`topk(10, sum by (namespace, k8s_object_kind, k8s_object_name) (count_over_time(`+kubeEvents("<namespace>", warning)+` [$__range])))`, "{{namespace}} {{k8s_object_kind}} {{k8s_object_name}}")).
					good("No warning").size(12, 8),
				records("Warnings", "The newest events of type Warning about objects of the chosen namespaces, and about nodes and others of none.",
					lq(kubeEvents(`<cluster>, namespace=~"$namespace|"`, warning), "")).size(12, 12),
				records("Events", "The newest events of every type.",
					lq(kubeEvents(`<cluster>, namespace=~"$namespace|"`, ""), "")).size(12, 12),
			}},
			{Title: "Pods and containers", Panels: []Panel{
				bars("Pods created", "Pods not older than two minutes, by namespace.", number,
					q(`count by (namespace) (kube_pod_created{<namespace>} > time() - 120)`, "{{namespace}}").needs(needNewPod)).good("No pod was created"),
				bars("Exits by reason", "Containers that ended.", number,
					q(`sum by (reason, exit_code) (increase(container_terminations_total{<namespace>}[$__interval])) > 0`, "{{reason}} ({{exit_code}})").needs(needTermination)).good("Nothing ended"),
				table("Newest pods", "Pods created in the chosen time.",
					q(`max by (namespace, pod) (kube_pod_created{<namespace>} > time() - $__range_s) * 1000`, "Created").in(moment).needs(needNewPod)).
					sortBy("Created").good("No pod was created").link(toPod, podLogs).size(12, 9),
				table("Last exits", "Containers that ended in the chosen time and how.", needs(needTermination,
					q(`max by (namespace, pod, container, reason) ((kube_pod_container_status_last_terminated_timestamp{<namespace>} > time() - $__range_s)
						* on (cluster, namespace, pod, uid, container) group_left (reason) kube_pod_container_status_last_terminated_reason{<namespace>}) * 1000`, "Ended").in(moment))...).
					sortBy("Ended").good("Nothing ended").link(toPod, podLogs).size(12, 9),
			}},
			{Title: "Cluster", Panels: []Panel{
				graph("Nodes", "Nodes, and those that are ready.", number,
					q(`count(kube_node_info{<cluster>})`, "nodes"), q(`sum(kube_node_status_condition{<cluster>, condition="Ready", status="true"})`, "ready")).fromZero().size(8, 8),
				bars("Jobs started", "Jobs that started at most two minutes ago, by namespace.", number,
					q(`count by (namespace) (kube_job_status_start_time{<namespace>} > time() - 120)`, "{{namespace}}").needs(needJob)).good("No job started").size(8, 8),
				graph("Alerts firing", "Alerts that fire, by name.", number,
					q(`count by (alertname, severity) (ALERTS{alertstate="firing", alertname!~"Watchdog|InfoInhibitor"})`, "{{alertname}} ({{severity}})").needs("an alert that fires")).stack().good("No alert fires").size(8, 8),
			}},
		},
	}
}
