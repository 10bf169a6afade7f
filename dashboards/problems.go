package dashboards

func problems() Dashboard {
	return Dashboard{
		UID: "crowsnest-problems", Title: "What is wrong now",
		Question:    "What is broken right now, and why?",
		Variables:   []Variable{clusterVariable, namespaceVariable},
		Annotations: happenings("<namespace>"),
		refresh:     "30s",
		Rows: []Row{
			problemNow(),
			problemWaiting(),
			problemEvents(),
			problemExits(),
			problemUnschedulable(),
			problemWorkloads(),
			problemNodes(),
		},
	}
}

func problemNow() Row {
	return Row{Title: "Now", Panels: []Panel{
		stat("Containers waiting", "Containers that do not start; the table below says why.", number,
			q(`sum(kube_pod_container_status_waiting{<namespace>}) or vector(0)`, "containers")).warn(1),
		stat("Crash loops", "Containers that the kubelet starts again only after a pause, since they keep ending.", number,
			q(`sum(kube_pod_container_status_waiting_reason{<namespace>, reason="CrashLoopBackOff"}) or vector(0)`, "containers")).warn(1),
		stat("Killed for memory", "Containers that the kernel killed in the chosen time since they were over their limit or the node was full.", number,
			q(`round(sum(increase(container_oom_kills_total{<namespace>}[$__range]))) or vector(0)`, "kills")).warn(1),
		stat("Failed probes", "Liveness, readiness and startup probes that failed in the chosen time.", number,
			q(`round(sum(increase(prober_probe_total{<namespace>, result="failed"}[$__range]))) or vector(0)`, "probes")).warn(1, 50),
		stat("Unschedulable pods", "Pods for which the scheduler found no node.", number,
			q(`sum(kube_pod_status_unschedulable{<namespace>}) or vector(0)`, "pods")).warn(1),
		stat("Nodes in trouble", "Nodes that are not ready or report pressure.", number,
			q(`count(count by (node) (`+badCondition+`)) or vector(0)`, "nodes")).warn(1),
	}}
}

func problemWaiting() Row {
	return Row{Title: "Containers that do not run", Panels: []Panel{
		table("Waiting", "Containers that wait, with the kubelet's reason: ImagePullBackOff (name, credentials, registry), CreateContainerConfigError (a missing ConfigMap or Secret), CrashLoopBackOff.",
			needs(needWaiting,
				q(`max by (namespace, pod, container, reason) (kube_pod_container_status_waiting_reason{<namespace>} == 1 or kube_pod_init_container_status_waiting_reason{<namespace>} == 1)`, "Waiting").in(number),
				q(`(time() - max by (namespace, pod) (kube_pod_created{<namespace>}))
					* on (namespace, pod) group_right () max by (namespace, pod, container, reason) (kube_pod_container_status_waiting_reason{<namespace>} == 1 or kube_pod_init_container_status_waiting_reason{<namespace>} == 1)`, "Age of the pod").in(duration))...).
			hide("Value #A").good("Nothing waits").link(toPod, podLogs).size(12, 9),
		table("Not ready", "Pods that run but take no traffic.",
			q(`(time() - max by (namespace, pod) (kube_pod_created{<namespace>})) and on (namespace, pod)
				(max by (namespace, pod) (kube_pod_status_ready{<namespace>, condition="false"} == 1)
				and on (namespace, pod) max by (namespace, pod) (kube_pod_status_phase{<namespace>, phase="Running"} == 1))`, "Age of the pod").
				in(duration).needs(needNotReady)).
			good("All pods are ready").link(toPod, podLogs).size(12, 9),
		table("Restarted, with the last exit", "Containers that restarted in the chosen time, and what ended them: 137 is a kill (look for OOMKilled), 143 a stop that was asked for, 139 a segmentation fault, 1 and 2 errors of the program.",
			needs(needFailure,
				q(lastExit(`kube_pod_container_status_last_terminated_exitcode{<namespace>}`), "Exit code").in(number),
				q(lastExit(`kube_pod_container_status_last_terminated_timestamp{<namespace>} * 1000`), "Ended").in(moment),
				q(`round(max by (namespace, pod, container, reason) (increase(kube_pod_container_status_restarts_total{<namespace>}[$__range])
					* on (cluster, namespace, pod, uid, container) group_left (reason) kube_pod_container_status_last_terminated_reason{<namespace>}) > 0.5)`, "Restarts").in(number).warn(1, 10))...).
			sortBy("Restarts").good("Nothing restarted").link(toPod, podLogs),
	}}
}

func problemEvents() Row {
	return Row{Title: "Kubernetes events", Panels: []Panel{
		ranking("Warnings by reason", "Events of type Warning in the chosen time: what controllers, scheduler and kubelets complain of.", number,
			lq(`topk(10, sum by (k8s_event_reason) (count_over_time(`+kubeEvents(`<cluster>, namespace=~"$namespace|"`, warning)+` [$__range])))`, "{{k8s_event_reason}}")).
			good("No warning"),
		records("Warnings", "The newest events of type Warning about objects of the chosen namespaces, and about nodes and others of none.",
			lq(kubeEvents(`<cluster>, namespace=~"$namespace|"`, warning), "")).size(16, 8),
	}}
}

func problemExits() Row {
	return Row{Title: "Exits", Panels: []Panel{
		bars("Exits by reason", "Every container that ended, counted by the agent: none is missed between two scrapes.", number,
			q(`sum by (reason, exit_code) (increase(container_terminations_total{<namespace>}[$__interval])) > 0`, "{{reason}} ({{exit_code}})").needs(needTermination)).
			good("Nothing ended"),
		table("Killed for memory", "Containers that the kernel killed, and the limit that they ran into. Without a limit it was the node that was full.",
			q(`round(sum by (namespace, pod, container) (increase(container_oom_kills_total{<namespace>}[$__range]))) > 0`, "Kills").in(number).needs(needOOM),
			q(`max by (namespace, pod, container) (kube_pod_container_resource_limits{<namespace>, resource="memory"})
				and on (namespace, pod, container) increase(container_oom_kills_total{<namespace>}[$__range]) > 0`, "Limit").in(bytes).needs(needOOM)).
			sortBy("Kills").good("Nothing was killed").link(toPod, podLogs).size(12, 8),
		bars("Failed probes", "By container and kind: liveness restarts it, readiness takes its traffic away, startup delays both.", number,
			q(`sum by (namespace, pod, container, probe_type) (increase(prober_probe_total{<namespace>, result="failed"}[$__interval])) > 0`, "{{namespace}}/{{pod}} {{container}} {{probe_type}}").needs(needProbeFailure)).
			good("No probe failed").link(toPod),
		table("Evicted, lost and refused pods", "Pods that a node gave up or did not take, with the kubelet's reason.",
			q(`max by (namespace, pod, reason) (kube_pod_status_reason{<namespace>} == 1)`, "Pods").in(number).needs(needEviction)).
			hide("Value").good("None").link(toPod).size(12, 8),
	}}
}

func problemUnschedulable() Row {
	return Row{Title: "Pods without a node", Panels: []Panel{
		graph("Unschedulable by reason", "Pods that each of the scheduler's checks turned away: NodeResourcesFit (no room), TaintToleration, NodeAffinity, VolumeBinding, PodTopologySpread.", pods,
			q(`sum by (plugin) (scheduler_unschedulable_pods{<cluster>}) > 0`, "{{plugin}}").needs(needScheduler)).
			good("All pods found a node").stack(),
		table("Unschedulable pods", "How long each has been waiting for a node.",
			q(`(time() - max by (namespace, pod) (kube_pod_created{<namespace>})) and on (namespace, pod) max by (namespace, pod) (kube_pod_status_unschedulable{<namespace>} == 1)`, "Waits").
				in(duration).needs(needUnschedulable).warn(60, 600)).
			sortBy("Waits").good("All pods found a node").link(toPod).size(12, 8),
	}}
}

func problemWorkloads() Row {
	return Row{Title: "Workloads", Panels: []Panel{
		table("Fewer pods than wanted", "Deployments, StatefulSets and DaemonSets that miss pods.",
			q(missing, "Missing").in(number).warn(1).needs(needMissing)).
			sortBy("Missing").good("All workloads are complete").link(to("crowsnest-workloads", "Workload", "namespace", "workload")).size(12, 8),
		table("Failed jobs", "Jobs that gave up.",
			q(`max by (namespace, job_name) (kube_job_failed{<namespace>, condition="true"} == 1)`, "Failed").in(number).needs(needFailedJob)).
			hide("Value").good("No job failed").size(12, 8),
	}}
}

func problemNodes() Row {
	return Row{Title: "Nodes and volumes", Panels: []Panel{
		table("Node conditions", "Conditions that are not as they should be: Ready that is not true, pressure and problems that are.",
			q(badCondition, "Since").in(number).needs(needBadNode)).
			hide("Value").good("All nodes are well").link(toNode).size(12, 8),
		table("Claims and volumes", "Claims that found no volume, and volumes that failed.",
			q(`max by (namespace, persistentvolumeclaim, phase) (kube_persistentvolumeclaim_status_phase{<namespace>, phase!="Bound"} == 1)
				or max by (persistentvolume, phase) (kube_persistentvolume_status_phase{<cluster>, phase=~"Failed|Pending"} == 1)`, "Phase").in(number).needs(needBadVolume)).
			hide("Value").good("All claims are bound").link(toClaim).size(12, 8),
	}}
}

// badCondition is 1 for every node's condition that is not as it should be.
const badCondition = `max by (node, condition, status) (
	kube_node_status_condition{<cluster>, condition="Ready", status!="true"} == 1
	or kube_node_status_condition{<cluster>, condition!="Ready", status="true"} == 1)`

// lastExit keeps a value of containers that restarted in the chosen time and
// adds the reason of their last end.
func lastExit(value string) string {
	return `max by (namespace, pod, container, reason) (` + value + `
		* on (cluster, namespace, pod, uid, container) group_left (reason) kube_pod_container_status_last_terminated_reason{<namespace>}
		and on (cluster, namespace, pod, uid, container) increase(kube_pod_container_status_restarts_total{<namespace>}[$__range]) > 0.5)`
}

// missing is how many pods a workload lacks, for those that lack any.
const missing = `sum by (namespace, workload) (label_replace(kube_deployment_spec_replicas{<namespace>} - kube_deployment_status_replicas_available{<namespace>} > 0, "workload", "$1", "deployment", "(.+)")
	or label_replace(kube_statefulset_replicas{<namespace>} - kube_statefulset_status_replicas_ready{<namespace>} > 0, "workload", "$1", "statefulset", "(.+)")
	or label_replace(kube_daemonset_status_desired_number_scheduled{<namespace>} - kube_daemonset_status_number_available{<namespace>} > 0, "workload", "$1", "daemonset", "(.+)"))`
