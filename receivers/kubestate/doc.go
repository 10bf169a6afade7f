// Package kubestate is the receiver "kubestate": it watches the API server and
// tells the state of its objects as the series kube_*, with the names, labels,
// help texts and types of kube-state-metrics v2.18, so that dashboards, rules
// and alerts written for that program work unchanged.
//
// # How it works
//
// One goroutine per kind lists and watches (watch.go). Each object that arrives
// is decoded, turned into its series at once and forgotten; what stays is the
// text of those series, packed (state, see pack.go), in the kind's store
// (store.go). At each interval the states are unpacked into pdata, in batches of
// at most 8,192 points (sender.go), so the cost of an interval is that of
// writing points and not that of understanding objects.
//
// # How a kind is written
//
// A kind is a table of families in a file of its own, built by newKind from a
// spec. See pod.go and node.go:
//
//	func nodes() *kind {
//		return newKind(spec[corev1.Node]{
//			resource: "nodes", path: "api/v1/nodes", goType: "*v1.Node",
//			identity: []string{"node"},
//			identify: func(n *corev1.Node) []string { return []string{n.Name} },
//			families: []family[corev1.Node]{{
//				name: "kube_node_created", help: "Unix creation timestamp",
//				write: func(w *writer, n *corev1.Node) { w.time(n.CreationTimestamp) },
//			}, {
//				name: "kube_node_spec_taint", help: "The taint of a cluster node.",
//				labels: []string{"key", "value", "effect"},
//				write: func(w *writer, n *corev1.Node) {
//					for _, t := range n.Spec.Taints {
//						w.put(1, t.Key, t.Value, string(t.Effect))
//					}
//				},
//			}},
//		})
//	}
//
// The function that makes it is called in kinds.go. Every series bears the identity
// labels and then those of its family; put takes the values of the latter, in
// their order. A label with an empty value is no label. Families that
// kube-state-metrics calls stable get that into their help texts (stable.go).
// Values from maps are written in an order of their own, sorted, so that an
// object that did not change has the same packed state.
//
// test/kubestate makes objects of every kind on a real API server and compares
// all series with those of kube-state-metrics itself.
//
// # Custom resources
//
// custom_resource_state takes a configuration of kube-state-metrics as it is:
//
//	custom_resource_state:
//	  spec:
//	    resources:
//	      - groupVersionKind: {group: myteam.io, version: v1, kind: Foo}
//	        labelsFromPath: {name: [metadata, name]}
//	        metrics:
//	          - {name: uptime, help: Foo uptime, each: {type: Gauge, gauge: {path: [status, uptime]}}}
//
// A key that kube-state-metrics would pass over in silence is an error. The API
// server is asked each minute what it has of the groups, which takes no
// permission; the resources themselves take list and watch, as all do. A "$" is
// written "$$", as everywhere in the collector's configuration.
//
// # Guarantees
//
//   - A series that ends (its object is deleted, its state is another one) gets
//     one point flagged NoRecordedValue, repeated with each interval until the
//     pipeline took it. What nobody took is not marked.
//   - Two scopes share a cluster: the agents' receivers (scope node) tell of their
//     nodes' pods, the leader's (scope cluster) of all else. A pod that is
//     scheduled goes over: the leader marks what it told, the agent goes on with
//     the same series, so that for less than an interval there may be none.
//   - Who leads next, or comes back after a restart, goes on with the same
//     series and sends as soon as its lists are read. What was deleted in
//     between nobody marks: Prometheus forgets it after five minutes.
//   - While the API server is away, the last known state is told, as
//     kube-state-metrics does; errors are counted by resource and reason, and in
//     kube_state_metrics_list_total and _watch_total, which its alerts read.
//   - Sizes are bounded: an object by 8 MiB, what is kept of all by max_bytes,
//     a batch by 8,192 points and one object's. A pipeline that does not take
//     anything costs intervals, never memory.
//   - Points that the pipeline refused are gone; they are counted as received
//     and dropped with reason "refused". The next interval tells the state anew.
//   - The values of secrets are never asked for. Where not even their metadata may
//     be listed, that is said once in the log, and no alert comes of it.
//
// # Cost
//
// A usual pod (two containers, 56 series) takes 549 bytes, or about 0.8 KiB with
// its place in the store. 10,000 pods take 28 MiB of memory beyond the 30 MiB of an idle process
// and under one percent of a core at an interval of 30 s (bench/kubestate).
package kubestate
