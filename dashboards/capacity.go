package dashboards

func capacity() Dashboard {
	return Dashboard{
		UID: "crowsnest-capacity", Title: "Capacity",
		Question:    "Is there room for more, and who reserves what they do not use?",
		Variables:   []Variable{clusterVariable, namespaceVariable},
		Annotations: rollouts("<namespace>"),
		from:        "now-24h", refresh: "5m",
		Rows: []Row{
			{Title: "Room in the cluster", Panels: []Panel{
				room("CPU left", "cpu", cores, "Cores that no pod has reserved yet."),
				room("Memory left", "memory", bytes, "Bytes that no pod has reserved yet."),
				stat("Pods left", "Pods that kubelets would still take.", number,
					q(`sum(kube_node_status_allocatable{<cluster>, resource="pods"}) - sum(kubelet_running_pods{<cluster>})`, "pods")),
				share("Without CPU requests", "Share of running containers that reserve no CPU: the scheduler does not see them.", without("cpu")).warn(.2, .5),
				share("Without memory requests", "Share of running containers that reserve no memory: they are evicted first.", without("memory")).warn(.2, .5),
				stat("If the largest node fails", "Cores that would be missing for the pods' requests; negative if all would fit.", cores,
					q(`sum(kube_pod_container_resource_requests{<cluster>, resource="cpu"} <active>)
						- (sum(kube_node_status_allocatable{<cluster>, resource="cpu"}) - max(kube_node_status_allocatable{<cluster>, resource="cpu"}))`, "cores")).warn(0),
				against("CPU", "cpu", cores, `sum(rate(container_cpu_usage_seconds_total{<cluster>, <container>}[$__rate_interval]))`),
				against("Memory", "memory", bytes, `sum(container_memory_working_set_bytes{<cluster>, <container>})`),
			}},
			{Title: "Nodes", Panels: []Panel{
				graph("CPU requested by node", "Share of allocatable CPU that pods reserve.", ratio, q(requested("cpu"), "{{node}}")).share().warn(.8, .95).link(toNode),
				graph("Memory requested by node", "Share of allocatable memory that pods reserve.", ratio, q(requested("memory"), "{{node}}")).share().warn(.8, .95).link(toNode),
			}},
			{Title: "Requests against use", Panels: []Panel{
				table("Containers that reserve too much CPU", "The twenty containers with most reserved cores that they did not use on average over the chosen time.",
					needs(needLimits,
						q(`topk(20, `+unused("cpu", averageCPU)+`)`, "Unused").in(cores),
						q(requestOf("cpu"), "Request").in(cores), q(averageCPU, "Use").in(cores))...).
					keep("Unused").sortBy("Unused").link(toPod).size(12, 10),
				table("Containers that reserve too much memory", "The twenty containers with most reserved bytes that they never used in the chosen time.",
					needs(needLimits,
						q(`topk(20, `+unused("memory", largestMemory)+`)`, "Unused").in(bytes),
						q(requestOf("memory"), "Request").in(bytes), q(largestMemory, "Largest use").in(bytes))...).
					keep("Unused").sortBy("Unused").link(toPod).size(12, 10),
				graph("CPU used of requests", "By namespace. Above 1 pods live on what others leave.", ratio,
					q(`sum by (namespace) (rate(container_cpu_usage_seconds_total{<namespace>, <container>}[$__rate_interval])) / sum by (namespace) (kube_pod_container_resource_requests{<namespace>, resource="cpu"} <active>)`, "{{namespace}}").needs(needLimits)).link(toNamespace),
				graph("Memory used of requests", "By namespace. Above 1 pods are evicted first.", ratio,
					q(`sum by (namespace) (container_memory_working_set_bytes{<namespace>, <container>}) / sum by (namespace) (kube_pod_container_resource_requests{<namespace>, resource="memory"} <active>)`, "{{namespace}}").needs(needLimits)).link(toNamespace),
			}},
			{Title: "Quotas and limits", Panels: []Panel{
				table("Quotas", "What namespaces may have and have.", needs(needQuota,
					q(`max by (namespace, resourcequota, resource) (kube_resourcequota{<namespace>, type="used"})`, "Used").in(number),
					q(`max by (namespace, resourcequota, resource) (kube_resourcequota{<namespace>, type="hard"})`, "At most").in(number),
					q(`max by (namespace, resourcequota, resource) (kube_resourcequota{<namespace>, type="used"} / ignoring (type) (kube_resourcequota{<namespace>, type="hard"} > 0))`, "Share").in(ratio).warn(.9, 1))...).
					sortBy("Share").good("No quotas").link(toNamespace).size(12, 8),
				table("Limit ranges", "Defaults and bounds that namespaces set for containers, pods and claims.",
					q(`max by (namespace, limitrange, type, resource, constraint) (kube_limitrange{<namespace>})`, "Value").in(number).needs(needLimitRange)).
					good("No limit ranges").size(12, 8),
				graph("Quota used", "Share of each quota over time.", ratio,
					q(`max by (namespace, resourcequota, resource) (kube_resourcequota{<namespace>, type="used"} / ignoring (type) (kube_resourcequota{<namespace>, type="hard"} > 0))`, "{{namespace}} {{resource}}").needs(needQuota)).share().warn(.9, 1).good("No quotas").size(gridWidth, 8),
			}},
		},
	}
}

func requestsFor(resource string) string {
	return `kube_pod_container_resource_requests{<cluster>, resource="` + resource + `"} <active>`
}

func room(title, resource, unit, description string) Panel {
	return stat(title, description, unit,
		q(`sum(kube_node_status_allocatable{<cluster>, resource="`+resource+`"}) - sum(`+requestsFor(resource)+`)`, title))
}

// without is the share of running containers that have no request.
func without(resource string) string {
	return `1 - (count(kube_pod_container_resource_requests{<cluster>, resource="` + resource + `"} <active>) or vector(0))
		/ count(kube_pod_container_info{<cluster>} <active>)`
}

func against(title, resource, unit, used string) Panel {
	return graph(title, "Use against what pods request, may use at most, and what nodes can give.", unit,
		q(used, "used"), limit(`sum(`+requestsFor(resource)+`)`, "requests"),
		limit(`sum(kube_pod_container_resource_limits{<cluster>, resource="`+resource+`"} <active>)`, "limits").needs(needLimits),
		limit(`sum(kube_node_status_allocatable{<cluster>, resource="`+resource+`"})`, "allocatable")).fromZero()
}

func requested(resource string) string {
	return `sum by (node) (` + requestsFor(resource) + `) / sum by (node) (kube_node_status_allocatable{<cluster>, resource="` + resource + `"})`
}

const (
	averageCPU    = `sum by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{<namespace>, <container>}[$__range]))`
	largestMemory = `sum by (namespace, pod, container) (max_over_time(container_memory_working_set_bytes{<namespace>, <container>}[$__range]))`
)

func requestOf(resource string) string {
	return `sum by (namespace, pod, container) (kube_pod_container_resource_requests{<namespace>, resource="` + resource + `"})`
}

// unused is what containers reserve beyond their use.
func unused(resource, use string) string { return `(` + requestOf(resource) + ` - ` + use + ` > 0)` }
