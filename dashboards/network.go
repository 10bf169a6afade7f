package dashboards

func network() Dashboard {
	return Dashboard{
		UID: "crowsnest-network", Title: "Network, Services and Ingress",
		Question: "Does traffic flow, and has every Service somebody behind it?",
		Variables: []Variable{clusterVariable, namespaceVariable,
			several("service", "Service", `label_values(kube_service_info{<namespace>}, service)`)},
		Annotations: rollouts("<namespace>"),
		Rows: []Row{
			networkServices(),
			networkIngress(),
			networkPods(),
			networkNodes(),
			networkProxy(),
		},
	}
}

func networkServices() Row {
	return Row{Title: "Services", Panels: []Panel{
		stat("Services", "Services in the chosen namespaces.", number, q(`count(kube_service_info{<namespace>, service=~"$service"})`, "services")),
		stat("Without a ready endpoint", "Services that nobody answers for. Those without a selector are not counted if somebody made their endpoints.", number,
			q(`count(`+unanswered+`) or vector(0)`, "services")).warn(1),
		stat("Endpoints not ready", "Addresses behind Services that take no traffic.", number,
			q(`sum(kube_endpointslice_endpoints{<namespace>, ready="false"}) or vector(0)`, "endpoints")).warn(1, 10),
		stat("Load balancers waiting", "Services of type LoadBalancer without an address yet.", number,
			q(`count(kube_service_spec_type{<namespace>, service=~"$service", type="LoadBalancer"} unless on (cluster, namespace, service) kube_service_status_load_balancer_ingress{<namespace>, service=~"$service"}) or vector(0)`, "services")).warn(1),
		stat("Ingresses", "Ingresses in the chosen namespaces.", number, q(`count(kube_ingress_info{<namespace>}) or vector(0)`, "ingresses")),
		stat("Network policies", "Policies in the chosen namespaces; without any, all pods may talk to all.", number,
			q(`count(kube_networkpolicy_created{<namespace>}) or vector(0)`, "policies")),
		table("Services without a ready endpoint", "Requests to these fail: no pod matches, or none is ready.",
			q(`max by (namespace, service) (`+unanswered+`)`, "Service").in(number).needs(needNoEndpoint)).
			hide("Value").good("Every Service has an endpoint").link(toNamespace).size(12, 8),
		table("Endpoints", "Ready and other addresses by slice of a Service.",
			q(`sum by (namespace, endpointslice) (kube_endpointslice_endpoints{<namespace>, ready="true"})`, "Ready").in(number),
			q(`sum by (namespace, endpointslice) (kube_endpointslice_endpoints{<namespace>, ready="false"})`, "Not ready").in(number).warn(1).needs(needNotReady)).
			sortBy("Not ready").size(12, 8),
	}}
}

func networkIngress() Row {
	return Row{Title: "Ingress", Panels: []Panel{
		table("Paths", "Where each host and path leads, and whether the Service behind it has a ready endpoint.",
			q(`max by (namespace, ingress, host, path, service_name) (kube_ingress_path{<namespace>})`, "Path").in(number).needs(needIngress),
			q(`max by (namespace, ingress, host, path, service_name) (kube_ingress_path{<namespace>} and on (cluster, namespace, service_name)
				label_replace(`+unanswered+`, "service_name", "$1", "service", "(.+)"))`, "Nobody answers").in("bool_yes_no").warn(1).needs(needNoEndpoint)).
			hide("Value #A").good("No ingresses").link(toNamespace).size(12, 8),
		table("Certificates of ingresses", "Secrets that hosts take their certificates from.",
			q(`max by (namespace, ingress, tls_host, secret) (kube_ingress_tls{<namespace>})`, "TLS").in(number).needs(needIngress)).
			hide("Value").good("No ingress with TLS").size(12, 8),
	}}
}

func networkPods() Row {
	return Row{Title: "Pods", Panels: []Panel{
		busiestPods("Received", "The ten pods that receive most.", bytesPerSec, "container_network_receive_bytes_total"),
		busiestPods("Sent", "The ten pods that send most.", bytesPerSec, "container_network_transmit_bytes_total"),
		busiestPods("Received packets dropped", "The ten pods with most packets dropped on their way in.", packets, "container_network_receive_packets_dropped_total").fromZero(),
		busiestPods("Sent packets dropped", "The ten pods with most packets dropped on their way out.", packets, "container_network_transmit_packets_dropped_total").fromZero(),
	}}
}

func networkNodes() Row {
	return Row{Title: "Nodes", Panels: []Panel{
		graph("Segments sent again", "Share of TCP segments that nodes had to repeat. Above one in a hundred something on the way loses packets.", ratio,
			q(`rate(node_netstat_Tcp_RetransSegs{<hosts>}[$__rate_interval]) / rate(node_netstat_Tcp_OutSegs{<hosts>}[$__rate_interval])`, "{{instance}}")).fromZero().warn(.01, .05).link(toHost),
		graph("Connections tracked", "Share of the kernel's connection table. When it is full, new connections fail.", ratio,
			q(`node_nf_conntrack_entries{<hosts>} / node_nf_conntrack_entries_limit{<hosts>}`, "{{instance}}").needs(needConntrack)).share().warn(.75, .9).link(toHost),
		graph("Errors", "Damaged packets on the nodes' own interfaces.", packets,
			q(`sum by (instance) (rate(node_network_receive_errs_total{<hosts>, <nic>}[$__rate_interval]) + rate(node_network_transmit_errs_total{<hosts>, <nic>}[$__rate_interval]))`, "{{instance}}")).fromZero().link(toHost),
		graph("Connections", "TCP connections that are established.", number,
			q(`node_netstat_Tcp_CurrEstab{<hosts>}`, "{{instance}}")).fromZero().link(toHost),
	}}
}

func networkProxy() Row {
	return Row{Title: "kube-proxy", Panels: []Panel{
		graph("Rule updates", "99th percentile of the time that kube-proxy takes to write its rules.", seconds,
			q(`histogram_quantile(0.99, sum by (le) (rate(kubeproxy_sync_proxy_rules_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p99").needs(needProxy)).fromZero().good("kube-proxy is not scraped"),
		graph("From change to rules", "99th percentile of the time from a changed endpoint to rules on nodes.", seconds,
			q(`histogram_quantile(0.99, sum by (le) (rate(kubeproxy_network_programming_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "p99").needs(needProxy)).fromZero().good("kube-proxy is not scraped"),
	}}
}

// unanswered are Services without a ready endpoint. A slice's name is that of
// its Service and five letters; kube-state-metrics tells no other relation.
const unanswered = `kube_service_info{<namespace>, service=~"$service"}
	unless on (cluster, namespace, service) kube_service_spec_type{<namespace>, service=~"$service", type="ExternalName"}
	unless on (cluster, namespace, service)
		label_replace(kube_endpointslice_endpoints{<namespace>, ready="true"} > 0, "service", "$1", "endpointslice", "(.+?)(?:-[a-z0-9]{5})?")`

// busiestPods are ten.
func busiestPods(title, description, unit, metric string) Panel {
	return graph(title, description, unit,
		q(`topk(10, sum by (namespace, pod) (rate(`+metric+`{<namespace>}[$__rate_interval])))`, "{{namespace}}/{{pod}}")).link(toPod, podLogs)
}
