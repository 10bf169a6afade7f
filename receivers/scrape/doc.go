// Package scrape is the collector receiver of Prometheus targets.
//
// Source:
//   - jobs: fixed targets, such as the program's own metrics;
//   - annotations: pods of this node that bear prometheus.io/scrape: "true",
//     with port, path and scheme by the annotations of these names. Without a
//     port, all that the pod declares, or only those called …metrics if there
//     are any. Their job is "namespace/workload", as a PodMonitor of that name
//     would give; further labels are namespace, pod, container, node, service;
//   - monitors: PodMonitors and ServiceMonitors (monitoring.coreos.com/v1), if
//     the cluster has them. Each agent matches them against its own node's
//     pods, so that the agents share the work without knowing of each other;
//     what stands behind a Service is found by its selector, not by watching
//     endpoints. Labels are those that the Prometheus operator gives. A higher
//     limit than the receiver's is the receiver's;
//   - control_plane: pods of this node that are kube-scheduler,
//     kube-controller-manager, etcd, kube-proxy or CoreDNS, by their usual labels
//     in kube-system, with the jobs of kube-prometheus-stack;
//   - api_server: the API servers behind default/kubernetes, by one leader.
//
// A pod that is found by two ways gives two targets, if their labels differ.
//
// Guarantees: what is sent is, after exporters/prometheus, the same series that
// Prometheus would have scraped: names, labels, values, exemplars. A page that
// breaks a limit or the format is refused whole, with up 0, an outcome in
// crowsnest_scrape_scrapes_total and its samples in the ledger. A vanished
// series, and all of a vanished target, get one marker each, at the next scrape
// or at once. A monitor's endpoint that cannot be followed (a secret that may not
// be read, a file of the agent's machine, a proxy) is refused by itself, in
// crowsnest_scrape_refused_targets_total. An unreachable API server stops
// nothing: what was known is scraped on, with the credentials last read.
//
// Load on the API server, where every node has an agent: monitors and, from the
// first ServiceMonitor on, Services are listed from its cache and then watched,
// as kube-proxy does; a watch that breaks goes on where it was. What is not there
// or not granted is asked for each five minutes. Credentials are read once a minute
// by the nodes that have pods of the monitor, and when the monitor changes.
// Of each kind 32 MiB of objects are kept, whoever made them.
//
// Not understood, of monitors: oauth2, proxies, files, scrape classes and
// attachMetadata.node; Services without a selector; scrape protocols.
//
// A component of the control plane may be out of reach by design: a managed one
// is no pod, kubeadm's listen on the node's loopback. So that nothing alerts on
// that, such a target has no up and no other series until it answered once.
// crowsnest_control_plane_scrapable, with its job and instance, is 0 with a reason
// until then and 1 from then on; of components that are no pods there is none.
// So an alert that a component is down must look back on up, as that of
// dashboards/rules do, and not fire on its absence alone.
//
// Trust: targets by annotation get no credentials. The agent's token goes only
// to pods of kube-system that are static ones; who can make those there has the
// cluster already. No redirect is followed to another host, and no relabelling
// to the agent's own.
//
// Why not Prometheus' scrape package: parser, relabelling and HTTP client are
// Prometheus' own here, too, but its loop and manager bring 231 more packages
// (the SDKs of three clouds), keep a cache of lines as large as all that is kept
// here, composing histograms included, and mark a vanished target only after
// more than two intervals.
//
// Cost: per series about 460 bytes between scrapes, bounded by max_cache_bytes;
// per page in flight its body, bounded by max_page_bytes; about 0.6 µs of one
// core per series and scrape; a goroutine and a connection per target.
package scrape
