package rules

// pods are alerts on pods, CronJobs, Services and namespaces that
// kubernetes-mixin lacks.
func pods() []Alert {
	const ns = `job="kube-state-metrics"<ns>`
	return []Alert{
		// The second part serves where no agent counts kills.
		{Name: "KubeContainerOOMKilled", Severity: warning, Board: "pod namespace pod", Expr: `
		sum by (cluster, namespace, pod, container) (increase(container_oom_kills_total{namespace!=""<ns>}[15m])) > 0
		or
		max by (cluster, namespace, pod, container) (
			increase(kube_pod_container_status_restarts_total{` + ns + `}[15m]) > 0
		and on (cluster, namespace, pod, container)
			kube_pod_container_status_last_terminated_reason{job="kube-state-metrics",reason="OOMKilled"} == 1
		)`,
			Summary: "A container was killed for want of memory.",
			Text:    `In the last 15 minutes the kernel killed a process of container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }}: memory was at its limit.`},
		{Name: "KubeContainerFailsRepeatedly", Severity: warning, Board: "pod namespace pod", Params: map[string]string{"failures": "5"}, Expr: `
		sum by (cluster, namespace, pod, container, reason, exit_code) (
			increase(container_terminations_total{exit_code!="0",reason!="OOMKilled"<ns>}[1h])
		) > <failures>`,
			Summary: "A container fails several times an hour.",
			Text:    `Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} ended {{ printf "%.0f" $value }} times in an hour with exit code {{ $labels.exit_code }}, reason {{ $labels.reason }}.`},
		{Name: "KubeContainerMemoryNearLimit", Severity: info, For: "15m", Board: "pod namespace pod", Params: map[string]string{"ratio": "0.95"}, Expr: `
		max by (cluster, namespace, pod, container) (
			container_memory_working_set_bytes{job="kubelet",metrics_path="/metrics/cadvisor",container!=""<ns>}
		)
		/ on (cluster, namespace, pod, container)
		max by (cluster, namespace, pod, container) (
			kube_pod_container_resource_limits{job="kube-state-metrics",resource="memory"} > 0
		) > <ratio>`,
			Summary: "A container is close to its memory limit.",
			Text:    `Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} uses {{ $value | humanizePercentage }} of its memory limit; at 100% it is killed.`},
		{Name: "KubePodImagePullFailing", Severity: warning, For: "10m", Board: "pod namespace pod", Expr: `
		max by (cluster, namespace, pod, container, reason) (max_over_time(
			{__name__=~"kube_pod_(init_)?container_status_waiting_reason",` + ns + `,reason=~"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|RegistryUnavailable|ImageInspectError"}[5m]
		)) > 0`,
			Summary: "An image cannot be pulled.",
			Text:    `The image of container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} cannot be pulled, reason {{ $labels.reason }}.`},
		{Name: "KubePodConfigError", Severity: warning, For: "10m", Board: "pod namespace pod", Expr: `
		max by (cluster, namespace, pod, container, reason) (max_over_time(
			{__name__=~"kube_pod_(init_)?container_status_waiting_reason",` + ns + `,reason=~"CreateContainerConfigError|CreateContainerError|RunContainerError"}[5m]
		)) > 0`,
			Summary: "A container cannot be created.",
			Text:    `Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} cannot be created, reason {{ $labels.reason }}: mostly a missing ConfigMap, Secret, key or command.`},
		{Name: "KubePodUnschedulable", Severity: warning, For: "10m", Board: "scheduling namespace pod", Expr: `
		max by (cluster, namespace, pod) (kube_pod_status_unschedulable{` + ns + `}) == 1`,
			Summary: "A pod fits on no node.",
			Text:    `The scheduler finds no node for pod {{ $labels.namespace }}/{{ $labels.pod }}. Its condition PodScheduled tells the reason.`},
		{Name: "KubePodsUnschedulableByReason", Severity: info, For: "15m", Board: "scheduling", Expr: `
		max by (cluster, plugin) (scheduler_unschedulable_pods{job="kube-scheduler"}) > 0`,
			Summary: "The scheduler finds no node for pods, for one reason.",
			Text:    `Plugin {{ $labels.plugin }} of the scheduler keeps {{ $value }} pods from every node.`},
		{Name: "KubePodStuckTerminating", Severity: warning, For: "5m", Board: "pod namespace pod", Params: map[string]string{"seconds": "900"}, Expr: `
		time() - max by (cluster, namespace, pod) (kube_pod_deletion_timestamp{` + ns + `}) > <seconds>`,
			Summary: "A deleted pod does not go away.",
			Text:    `Pod {{ $labels.namespace }}/{{ $labels.pod }} should have been gone {{ $value | humanizeDuration }} ago, grace period included.`},
		{Name: "KubeProbeFailing", Severity: warning, For: "10m", Board: "pod namespace pod", Params: map[string]string{"ratio": "0.5"}, Expr: `
		sum by (cluster, namespace, pod, container, probe_type) (
			increase(prober_probe_total{job="kubelet",result="failed",probe_type!="Startup"<ns>}[10m])
		)
		/
		sum by (cluster, namespace, pod, container, probe_type) (
			increase(prober_probe_total{job="kubelet",probe_type!="Startup"}[10m])
		) > <ratio>`,
			Summary: "A probe fails.",
			Text:    `{{ $value | humanizePercentage }} of the {{ $labels.probe_type }} probes of container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} failed in 10 minutes.`},
		{Name: "KubeCronJobMissed", Severity: warning, For: "5m", Board: "workloads namespace workload=cronjob", Params: map[string]string{"seconds": "600"}, Expr: `
		time() - max by (cluster, namespace, cronjob) (
			kube_cronjob_next_schedule_time{` + ns + `}
		unless on (cluster, namespace, cronjob)
			kube_cronjob_spec_suspend{job="kube-state-metrics"} == 1
		) > <seconds>`,
			Summary: "A CronJob did not run when it should have.",
			Text:    `CronJob {{ $labels.namespace }}/{{ $labels.cronjob }} is {{ $value | humanizeDuration }} late and has not started a Job.`},
		{Name: "KubeCronJobSuspended", Severity: info, For: "1d", Board: "workloads namespace workload=cronjob",
			Expr:    `max by (cluster, namespace, cronjob) (kube_cronjob_spec_suspend{` + ns + `}) == 1`,
			Summary: "A CronJob is suspended.",
			Text:    `CronJob {{ $labels.namespace }}/{{ $labels.cronjob }} is suspended for more than a day: it runs nothing.`},
		// A slice is named after its Service, with five characters behind it. A
		// Service with a selector has one, an empty one at least.
		{Name: "KubeServiceWithoutEndpoints", Severity: warning, For: "10m", Board: "network namespace service", Expr: `
		group by (cluster, namespace, service) (
			label_replace(kube_endpointslice_info{` + ns + `}, "service", "$1", "endpointslice", "(.+)-[a-z0-9]{5}")
		)
		and on (cluster, namespace, service)
		kube_service_info{job="kube-state-metrics"}
		unless on (cluster, namespace, service)
		label_replace(kube_endpointslice_endpoints{job="kube-state-metrics",ready="true"} == 1, "service", "$1", "endpointslice", "(.+)-[a-z0-9]{5}")`,
			Summary: "A Service has nobody behind it.",
			Text:    `Service {{ $labels.namespace }}/{{ $labels.service }} has no ready endpoint: connections to it fail.`},
		{Name: "KubeNamespaceStuckTerminating", Severity: warning, For: "30m", Board: "namespaces namespace",
			Expr:    `max by (cluster, namespace) (kube_namespace_status_phase{` + ns + `,phase="Terminating"}) == 1`,
			Summary: "A namespace does not go away.",
			Text:    `Namespace {{ $labels.namespace }} is being deleted and something in it stays.`},
	}
}
