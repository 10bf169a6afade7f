package dashboards

func controlPlane() Dashboard {
	return Dashboard{
		UID: "crowsnest-control-plane", Title: "Control plane",
		Question:    "Does the control plane keep up?",
		Variables:   []Variable{clusterVariable},
		Annotations: happenings(`<cluster>, namespace="kube-system"`),
		Rows: []Row{
			controlPlaneAPI(),
			controlPlaneEtcd(),
			controlPlaneManagers(),
			controlPlaneDNS(),
			controlPlaneProcesses(),
		},
	}
}

func controlPlaneAPI() Row {
	return Row{Title: "API server", Panels: []Panel{
		stat("API servers", "API servers that answer scrapes.", number, q(`sum(up{<cluster>, job="apiserver"})`, "up")).below(1),
		stat("Requests", "Requests per second.", requests, q(`sum(rate(apiserver_request_total{<cluster>, job="apiserver"}[$__rate_interval]))`, "requests")),
		stat("Errors", "Share of requests answered with 5xx.", ratio,
			q(`(sum(rate(apiserver_request_total{<cluster>, job="apiserver", code=~"5.."}[$__rate_interval])) or vector(0)) / sum(rate(apiserver_request_total{<cluster>, job="apiserver"}[$__rate_interval]))`, "errors")).warn(.001, .01),
		stat("Slowest reads", "99th percentile of reads of single objects and lists.", seconds,
			q(apiLatency("", `verb=~"GET|LIST"`), "p99")).warn(1, 5),
		stat("Slowest writes", "99th percentile of writes.", seconds,
			q(apiLatency("", `verb=~"POST|PUT|PATCH|DELETE"`), "p99")).warn(1, 5),
		stat("Client certificate", "Shortest time that a client certificate seen lately has left: 1st percentile.", duration,
			q(`histogram_quantile(0.01, sum by (le) (rate(apiserver_client_certificate_expiration_seconds_bucket{<cluster>, job="apiserver"}[$__range])))`, "left").needs("clients with certificates")).below(7*24*3600, 24*3600),
		graph("Requests", "Requests per second by verb.", requests, q(`sum by (verb) (rate(apiserver_request_total{<cluster>, job="apiserver"}[$__rate_interval]))`, "{{verb}}")).stack(),
		graph("Failures", "Answers 4xx and 5xx by code. 429 is too many requests, 409 a conflict that is tried again.", requests,
			q(`sum by (code) (rate(apiserver_request_total{<cluster>, job="apiserver", code=~"4..|5.."}[$__rate_interval]))`, "{{code}}").needs(needFault)).stack(),
		graph("Latency", "99th percentile by verb; watches and other long requests are left out.", seconds,
			q(apiLatency("verb", `verb=~"GET|LIST|POST|PUT|PATCH|DELETE"`), "{{verb}}")).fromZero().warn(1),
		graph("Under way", "Requests that are handled now, by kind.", number,
			q(`sum by (request_kind) (apiserver_current_inflight_requests{<cluster>, job="apiserver"})`, "{{request_kind}}")).fromZero(),
		graph("Waiting for their turn", "Requests in queues of priority and fairness.", number,
			q(`sum by (priority_level) (apiserver_flowcontrol_current_inqueue_requests{<cluster>, job="apiserver"})`, "{{priority_level}}")).fromZero(),
		graph("Admission", "99th percentile of what each admission plugin adds to a request.", seconds,
			q(`topk(10, histogram_quantile(0.99, sum by (name, le) (rate(apiserver_admission_controller_admission_duration_seconds_bucket{<cluster>, job="apiserver"}[$__rate_interval]))))`, "{{name}}")).fromZero(),
	}}
}

func controlPlaneEtcd() Row {
	return Row{Title: "etcd", Panels: []Panel{
		graph("Database size", "As the API server sees it and as etcd states it. At its quota (2 GiB by default) etcd refuses writes.", bytes,
			q(`max by (storage_cluster_id) (apiserver_storage_size_bytes{<cluster>, job="apiserver"})`, "{{storage_cluster_id}}"),
			q(`etcd_mvcc_db_total_size_in_bytes{<cluster>}`, "{{instance}}").needs(needEtcd)).fromZero().warn(1.6e9, 2e9),
		graph("Requests to etcd", "99th percentile as the API server sees it, by operation.", seconds,
			q(`histogram_quantile(0.99, sum by (operation, le) (rate(etcd_request_duration_seconds_bucket{<cluster>, job="apiserver"}[$__rate_interval])))`, "{{operation}}")).fromZero(),
		graph("Disk", "99th percentile of writing to the log (should be below 10 ms) and committing (25 ms).", seconds, needs(needEtcd,
			q(`histogram_quantile(0.99, sum by (instance, le) (rate(etcd_disk_wal_fsync_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "{{instance}} log"),
			q(`histogram_quantile(0.99, sum by (instance, le) (rate(etcd_disk_backend_commit_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "{{instance}} commit"))...).fromZero().warn(.01, .1).good("etcd is not scraped"),
		graph("Leader", "Members that know a leader, and how often it changed in the last hour.", number, needs(needEtcd,
			q(`sum(etcd_server_has_leader{<cluster>})`, "members with a leader"),
			q(`max(changes(etcd_server_leader_changes_seen_total{<cluster>}[1h]))`, "changes"))...).fromZero().good("etcd is not scraped"),
		table("Objects", "The twenty kinds of object of which there are most; events and leases should not be among the first.",
			q(`topk(20, max by (group, resource) (apiserver_resource_objects{<cluster>, job="apiserver"}))`, "Objects").in(number)).sortBy("Objects").size(12, 8),
		graph("Proposals", "Changes waiting for the members' consent, and refused ones.", number, needs(needEtcd,
			q(`sum(etcd_server_proposals_pending{<cluster>})`, "pending"),
			q(`sum(rate(etcd_server_proposals_failed_total{<cluster>}[$__rate_interval]))`, "failed").in(perSecond))...).fromZero().good("etcd is not scraped"),
	}}
}

func controlPlaneManagers() Row {
	return Row{Title: "Scheduler and controller-manager", Panels: []Panel{
		graph("Scheduling attempts", "By result.", perSecond,
			q(`sum by (result) (rate(scheduler_schedule_attempts_total{<cluster>}[$__rate_interval]))`, "{{result}}").needs(needScheduler)).stack().good("The scheduler is not scraped"),
		graph("Scheduling", "99th percentile of one attempt.", seconds,
			q(`histogram_quantile(0.99, sum by (le) (rate(scheduler_scheduling_attempt_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p99").needs(needScheduler)).fromZero().good("The scheduler is not scraped"),
		graph("Work waiting", "Objects in the controller-manager's ten longest queues. What does not go down is a controller that cannot do its work.", number,
			q(`topk(10, sum by (name) (workqueue_depth{<cluster>, job="kube-controller-manager"}))`, "{{name}}").needs(needManager)).fromZero().good("The controller-manager is not scraped"),
		graph("Wait in queues", "99th percentile of the ten slowest queues.", seconds,
			q(`topk(10, histogram_quantile(0.99, sum by (name, le) (rate(workqueue_queue_duration_seconds_bucket{<cluster>, job="kube-controller-manager"}[$__rate_interval]))))`, "{{name}}").needs(needManager)).fromZero().good("The controller-manager is not scraped"),
		graph("Refused requests of clients", "Requests of kubelets and control plane that the API server did not answer with 2xx or 3xx.", requests,
			q(`sum by (job, code) (rate(rest_client_requests_total{<cluster>, code!~"2..|3.."}[$__rate_interval]))`, "{{job}} {{code}}").needs(needFault)).fromZero(),
		table("Who leads", "Holders of the control plane's leases.",
			q(`max by (namespace, lease, lease_holder) (kube_lease_owner{<cluster>, namespace="kube-system"})`, "Lease").in(number),
			q(`max by (namespace, lease, lease_holder) (time() - kube_lease_renew_time{<cluster>, namespace="kube-system"} + on (cluster, namespace, lease) group_right () 0 * kube_lease_owner{<cluster>, namespace="kube-system"})`, "Renewed before").in(duration).warn(60, 300)).
			hide("Value #A").size(12, 8),
	}}
}

func controlPlaneDNS() Row {
	return Row{Title: "CoreDNS", Panels: []Panel{
		graph("Questions", "Questions per second by type of record.", requests,
			q(`sum by (type) (rate(coredns_dns_requests_total{<cluster>}[$__rate_interval]))`, "{{type}}").needs(needDNS)).stack().good("CoreDNS is not scraped"),
		graph("Answers", "By code: NXDOMAIN is mostly search paths, SERVFAIL is trouble.", requests,
			q(`sum by (rcode) (rate(coredns_dns_responses_total{<cluster>}[$__rate_interval]))`, "{{rcode}}").needs(needDNS)).stack().good("CoreDNS is not scraped"),
		graph("Latency", "Of answers.", seconds, needs(needDNS,
			q(`histogram_quantile(0.5, sum by (le) (rate(coredns_dns_request_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p50"),
			q(`histogram_quantile(0.99, sum by (le) (rate(coredns_dns_request_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p99"))...).fromZero().good("CoreDNS is not scraped"),
		graph("Cache", "Share of questions answered from the cache.", ratio,
			q(`sum(rate(coredns_cache_hits_total{<cluster>}[$__rate_interval])) / sum(rate(coredns_cache_requests_total{<cluster>}[$__rate_interval]))`, "hits").needs(needDNS)).share().good("CoreDNS is not scraped"),
	}}
}

func controlPlaneProcesses() Row {
	return Row{Title: "Processes", Panels: []Panel{
		graph("CPU", "Cores in use by part.", cores,
			q(`sum by (job, instance) (rate(process_cpu_seconds_total{<cluster>, job=~"`+parts+`"}[$__rate_interval]))`, "{{job}} {{instance}}")).fromZero(),
		graph("Memory", "Resident memory by part.", bytes,
			q(`sum by (job, instance) (process_resident_memory_bytes{<cluster>, job=~"`+parts+`"})`, "{{job}} {{instance}}")).fromZero(),
	}}
}

// parts are the jobs of the control plane and its add-ons.
const parts = `apiserver|kube-scheduler|kube-controller-manager|kube-etcd|etcd|kube-proxy|coredns|kube-dns`

// apiLatency leaves out what lasts by its nature.
func apiLatency(by, matcher string) string {
	if by != "" {
		by += ", "
	}
	return `histogram_quantile(0.99, sum by (` + by + `le) (rate(apiserver_request_sli_duration_seconds_bucket{<cluster>, job="apiserver", ` +
		matcher + `, subresource!~"proxy|attach|log|exec|portforward"}[$__rate_interval])))`
}
