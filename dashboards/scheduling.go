package dashboards

func scheduling() Dashboard {
	return Dashboard{
		UID: "crowsnest-scheduling", Title: "Scheduling",
		Question: "Do pods find a node in time, and who has to give way?",
		Variables: []Variable{clusterVariable, namespaceVariable,
			several("pod", "Pod", `label_values(kube_pod_info{<namespace>}, pod)`)},
		Annotations: rollouts("<namespace>"),
		Rows: []Row{
			{Title: "Pending", Panels: []Panel{
				stat("Pending pods", "Pods without running containers yet.", number, q(`sum(kube_pod_status_phase{<pod>, phase="Pending"})`, "pods")).warn(1, 10),
				stat("Unschedulable", "Pods for which the scheduler found no node.", number, q(`sum(kube_pod_status_unschedulable{<pod>}) or vector(0)`, "pods")).warn(1),
				stat("Longest wait", "Age of the oldest pod without a node.", duration,
					q(`max(time() - kube_pod_created{<pod>} and on (cluster, namespace, pod) kube_pod_status_scheduled{<pod>, condition="false"} == 1) or vector(0)`, "wait")).warn(60, 600),
				stat("Cordoned nodes", "Nodes that take no new pods.", number, q(`sum(kube_node_spec_unschedulable{<cluster>})`, "nodes")).warn(1),
				stat("Evicted pods", "Pods that kubelets evicted and that are still listed.", number,
					q(`sum(kube_pod_status_reason{<pod>, reason="Evicted"}) or vector(0)`, "pods")).warn(1),
				stat("Budgets used up", "PodDisruptionBudgets that allow no eviction now; a drain would hang.", number,
					q(`count(kube_poddisruptionbudget_status_pod_disruptions_allowed{<namespace>} == 0 and kube_poddisruptionbudget_status_expected_pods{<namespace>} > 0) or vector(0)`, "budgets")).warn(1),
				graph("Pending pods by namespace", "Short bumps are rollouts.", pods,
					q(`sum by (namespace) (kube_pod_status_phase{<pod>, phase="Pending"})`, "{{namespace}}")).stack(),
				table("Pods without a node", "How long each has been waiting, and with which priority.",
					q(`max by (namespace, pod) (time() - kube_pod_created{<pod>} and on (cluster, namespace, pod) kube_pod_status_scheduled{<pod>, condition="false"} == 1)`, "Waits").in(duration).warn(60, 600).needs(needUnschedulable)).
					sortBy("Waits").good("All pods have a node").link(toPod).size(12, 8),
			}},
			{Title: "Scheduler", Panels: []Panel{
				graph("Queue", "Pods in the scheduler's queues: active ones are tried next, backoff ones after a pause, unschedulable ones when something changes, gated ones never before their gate opens.", pods,
					q(`sum by (queue) (scheduler_pending_pods{<cluster>})`, "{{queue}}").needs(needScheduler)).stack(),
				graph("Unschedulable by reason", "Pods that each of the scheduler's checks turned away.", pods,
					q(`sum by (plugin) (scheduler_unschedulable_pods{<cluster>})`, "{{plugin}}").needs(needScheduler)).stack().good("All pods found a node"),
				graph("Attempts", "Attempts to place a pod by result.", perSecond,
					q(`sum by (result) (rate(scheduler_schedule_attempts_total{<cluster>}[$__rate_interval]))`, "{{result}}").needs(needScheduler)).stack(),
				graph("Time to place a pod", "From its first attempt on, retries included.", seconds, needs(needScheduler,
					q(`histogram_quantile(0.5, sum by (le) (rate(scheduler_pod_scheduling_sli_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p50"),
					q(`histogram_quantile(0.99, sum by (le) (rate(scheduler_pod_scheduling_sli_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p99"))...).fromZero(),
				graph("Pod start", "From creation to running containers, image pulls left out, as kubelets measure it.", seconds,
					q(`histogram_quantile(0.5, sum by (le) (rate(kubelet_pod_start_sli_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p50"),
					q(`histogram_quantile(0.99, sum by (le) (rate(kubelet_pod_start_sli_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p99")).fromZero(),
				graph("Preemption", "Pods put out for others of higher priority.", perSecond,
					q(`sum(rate(scheduler_preemption_attempts_total{<cluster>}[$__rate_interval]))`, "attempts").needs(needScheduler),
					q(`sum(rate(scheduler_preemption_victims_sum{<cluster>}[$__rate_interval]))`, "victims").needs(needScheduler)).fromZero(),
			}},
			{Title: "Who gives way", Panels: []Panel{
				table("Priorities", "Pods by priority class.",
					q(`count by (priority_class) (kube_pod_info{<pod>, priority_class!=""})`, "Pods").in(number).needs(needPriority)).sortBy("Pods").size(8, 8),
				table("Quality of service", "Pods by class: BestEffort ones are evicted first.",
					q(`sum by (qos_class) (kube_pod_status_qos_class{<pod>})`, "Pods").in(number)).sortBy("Pods").size(8, 8),
				table("Taints", "What keeps pods off nodes.",
					q(`count by (key, effect) (kube_node_spec_taint{<cluster>})`, "Nodes").in(number).needs(needTaint)).good("No taints").size(8, 8),
				bars("Evictions by kubelets", "Pods evicted since a node ran short, by what ran short.", number,
					q(`sum by (eviction_signal) (increase(kubelet_evictions{<cluster>}[$__interval])) > 0`, "{{eviction_signal}}").needs(needEviction)).good("No eviction"),
				table("Disruption budgets", "Healthy pods against those that must stay; with no disruption allowed a drain waits.", needs(needPDB,
					q(pdb("current_healthy"), "Healthy").in(number), q(pdb("desired_healthy"), "Must stay").in(number),
					q(pdb("expected_pods"), "Pods").in(number), q(pdb("pod_disruptions_allowed"), "May go").in(number).below(1))...).
					good("No budgets").size(12, 8),
			}},
		},
	}
}

func pdb(status string) string {
	return `max by (namespace, poddisruptionbudget) (kube_poddisruptionbudget_status_` + status + `{<namespace>})`
}
