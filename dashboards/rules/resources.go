package rules

// overcommit tells what the pods request beyond what the worker nodes would
// still have if the largest of them failed; one worker alone must not fail.
func overcommit(resource string) string {
	return fill(`
		sum by (cluster) (namespace_<resource>:kube_pod_container_resource_requests:sum)
		- on (cluster)
		(
			sum by (cluster) (<allocatable>)
			- on (cluster)
			max by (cluster) (<allocatable>) * on (cluster) (count by (cluster) (<allocatable>) > bool 1)
		) > 0`, map[string]string{"resource": resource, "allocatable": `kube_node_status_allocatable{job="kube-state-metrics",resource="` + resource +
		`"} unless on (cluster, node) kube_node_role{job="kube-state-metrics",role="control-plane"}`})
}

func quotaOvercommit(resource string) string {
	return `
		sum by (cluster) (
			min without (resource) (kube_resourcequota{job="kube-state-metrics",type="hard",resource=~"(` + resource + `|requests.` + resource + `)"})
		)
		/
		sum by (cluster) (kube_node_status_allocatable{job="kube-state-metrics",resource="` + resource + `"}) > <ratio>`
}

// quota is the used share of each quota.
const quota = `
		max without (instance, job, type) (kube_resourcequota{job="kube-state-metrics",type="used"<ns>})
		/ on (cluster, namespace, resource, resourcequota) group_left ()
		(max without (instance, job, type) (kube_resourcequota{job="kube-state-metrics",type="hard"}) > 0)
		`

// resources are the alerts of kubernetes-resources.
func resources() []Alert {
	const used = `Namespace {{ $labels.namespace }} uses {{ $value | humanizePercentage }} of {{ $labels.resource }} of its quota {{ $labels.resourcequota }}.`
	return []Alert{
		{Name: "KubeCPUOvercommit", Severity: warning, For: "10m", Board: "capacity", Expr: overcommit("cpu"),
			Summary: "Pods request more CPU than there is without the largest node.",
			Text:    `Pods request {{ $value | humanize }} CPUs more than the cluster {{ $labels.cluster }} would have if its largest node failed.`},
		{Name: "KubeMemoryOvercommit", Severity: warning, For: "10m", Board: "capacity", Expr: overcommit("memory"),
			Summary: "Pods request more memory than there is without the largest node.",
			Text:    `Pods request {{ $value | humanize1024 }}B more memory than the cluster {{ $labels.cluster }} would have if its largest node failed.`},
		{Name: "KubeCPUQuotaOvercommit", Severity: warning, For: "5m", Board: "capacity", Params: map[string]string{"ratio": "1.5"}, Expr: quotaOvercommit("cpu"),
			Summary: "Quotas promise more CPU than there is.",
			Text:    `The quotas of all namespaces allow {{ $value | humanizePercentage }} of the CPU of cluster {{ $labels.cluster }}.`},
		{Name: "KubeMemoryQuotaOvercommit", Severity: warning, For: "5m", Board: "capacity", Params: map[string]string{"ratio": "1.5"}, Expr: quotaOvercommit("memory"),
			Summary: "Quotas promise more memory than there is.",
			Text:    `The quotas of all namespaces allow {{ $value | humanizePercentage }} of the memory of cluster {{ $labels.cluster }}.`},
		{Name: "KubeQuotaAlmostFull", Severity: info, For: "15m", Board: "capacity namespace", Params: map[string]string{"ratio": "0.9"}, Expr: quota + `> <ratio> < 1`,
			Summary: "A quota is almost used up.", Text: used},
		{Name: "KubeQuotaFullyUsed", Severity: info, For: "15m", Board: "capacity namespace", Expr: quota + `== 1`,
			Summary: "A quota is used up.", Text: used},
		{Name: "KubeQuotaExceeded", Severity: warning, For: "15m", Board: "capacity namespace", Expr: quota + `> 1`,
			Summary: "A quota is exceeded.", Text: used},
		{Name: "CPUThrottlingHigh", Severity: info, For: "15m", Board: "pod namespace pod", Params: map[string]string{"ratio": "0.25"}, Expr: `
		sum by (cluster, namespace, pod, container) (
			increase(container_cpu_cfs_throttled_periods_total{job="kubelet",metrics_path="/metrics/cadvisor",container!=""<ns>}[5m])
		)
		/
		sum by (cluster, namespace, pod, container) (
			increase(container_cpu_cfs_periods_total{job="kubelet",metrics_path="/metrics/cadvisor"}[5m])
		) > <ratio>`,
			Summary: "A container is held back by its CPU limit.",
			Text:    `The CPU limit stopped container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} in {{ $value | humanizePercentage }} of its periods.`},
	}
}
