package rules

// kubelets are the alerts of kubernetes-system-kubelet.
func kubelets() []Alert {
	const ksm = `job="kube-state-metrics"`
	const kubelet = `job="kubelet",metrics_path="/metrics"`
	const node = `on (cluster, instance) group_left (node)
		max by (cluster, instance, node) (kubelet_node_name{` + kubelet + `})`
	// Cordoned nodes are worked on.
	const schedulable = `
		and on (cluster, node)
		kube_node_spec_unschedulable{` + ksm + `} == 0`
	return []Alert{
		{Name: "KubeNodeNotReady", Severity: warning, For: "15m", Board: "node node",
			Expr: `
		kube_node_status_condition{` + ksm + `,condition="Ready",status="true"} == 0` + schedulable,
			Summary: "A node is not ready.",
			Text:    `Node {{ $labels.node }} is not ready: its kubelet reports a problem or nothing at all.`},
		{Name: "KubeNodePressure", Severity: info, For: "10m", Board: "node node", Expr: `
		kube_node_status_condition{` + ksm + `,condition=~"(MemoryPressure|DiskPressure|PIDPressure)",status="true"} == 1` + schedulable,
			Summary: "A node runs out of something.",
			Text:    `Node {{ $labels.node }} has the condition {{ $labels.condition }}: pods are evicted and none are scheduled there.`},
		{Name: "KubeNodeUnreachable", Severity: warning, For: "15m", Board: "node node", Expr: `
		(
			kube_node_spec_taint{` + ksm + `,key="node.kubernetes.io/unreachable",effect="NoSchedule"}
		unless ignoring (key, value)
			kube_node_spec_taint{` + ksm + `,key=~"ToBeDeletedByClusterAutoscaler|cloud.google.com/impending-node-termination|aws-node-termination-handler/spot-itn"}
		) == 1`,
			Summary: "A node is unreachable.",
			Text:    `Node {{ $labels.node }} is unreachable; its pods are started elsewhere where they can be.`},
		{Name: "KubeletTooManyPods", Severity: info, For: "15m", Board: "node node", Params: map[string]string{"ratio": "0.95"}, Expr: `
		max by (cluster, node) (
			max by (cluster, instance) (kubelet_running_pods{` + kubelet + `} > 1)
			* ` + node + `
		)
		/ on (cluster, node) group_left ()
		max by (cluster, node) (kube_node_status_capacity{` + ksm + `,resource="pods"} != 1) > <ratio>`,
			Summary: "A node runs almost as many pods as it may.",
			Text:    `Node {{ $labels.node }} runs {{ $value | humanizePercentage }} of the pods that its kubelet allows.`},
		{Name: "KubeNodeReadinessFlapping", Severity: warning, For: "15m", Board: "node node", Params: map[string]string{"changes": "2"}, Expr: `
		sum by (cluster, node) (changes(kube_node_status_condition{` + ksm + `,condition="Ready",status="true"}[15m])) > <changes>` + schedulable,
			Summary: "A node's readiness comes and goes.",
			Text:    `The readiness of node {{ $labels.node }} changed {{ $value }} times in 15 minutes.`},
		{Name: "KubeNodeEviction", Severity: info, Board: "node node", Expr: `
		sum by (cluster, eviction_signal, instance) (rate(kubelet_evictions{` + kubelet + `}[15m]))
		* ` + node + ` > 0`,
			Summary: "A node evicts pods.",
			Text:    `Node {{ $labels.node }} evicts pods because of {{ $labels.eviction_signal }}.`},
		{Name: "KubeletPlegDurationHigh", Severity: warning, For: "5m", Board: "node node", Params: map[string]string{"seconds": "10"},
			Expr:    `node_quantile:kubelet_pleg_relist_duration_seconds:histogram_quantile{quantile="0.99"} >= <seconds>`,
			Summary: "A kubelet is slow to see its containers.",
			Text:    `The kubelet of node {{ $labels.node }} needs {{ $value | humanizeDuration }} (99th percentile) to list its containers.`},
		{Name: "KubeletPodStartUpLatencyHigh", Severity: warning, For: "15m", Board: "node node", Params: map[string]string{"seconds": "60"}, Expr: `
		histogram_quantile(0.99,
			sum by (cluster, instance, le) (rate(kubelet_pod_worker_duration_seconds_bucket{` + kubelet + `}[5m]))
		)
		* ` + node + ` > <seconds>`,
			Summary: "A kubelet is slow to start pods.",
			Text:    `The kubelet of node {{ $labels.node }} needs {{ $value | humanizeDuration }} (99th percentile) to start a pod.`},
		{Name: "KubeletInstanceUnreachable", Severity: warning, For: "15m", Board: "nodes",
			Expr:    `up{` + kubelet + `} == 0`,
			Summary: "A kubelet's metrics cannot be read.",
			Text:    `The kubelet at {{ $labels.instance }} does not answer a scrape of its metrics.`},
		// Clusters whose kubelets are closed to everybody never had one.
		{Name: "KubeletDown", Severity: critical, For: "15m", Board: "nodes", Params: map[string]string{"memory": "7d"}, Expr: `
		count by (cluster) (kube_node_info{` + ksm + `})
		and on (cluster)
		max by (cluster) (max_over_time(up{` + kubelet + `}[<memory>])) == 1
		unless on (cluster)
		count by (cluster) (up{` + kubelet + `} == 1)`,
			Summary: "No kubelet of the cluster can be scraped.",
			Text:    `Cluster {{ $labels.cluster }} has {{ $value }} nodes and the kubelet of none of them is scraped; in the last <memory> one was.`},
	}
}
