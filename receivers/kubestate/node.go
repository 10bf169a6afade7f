package kubestate

import (
	corev1 "k8s.io/api/core/v1"
)

// nodes gives the kind of nodes.
func nodes() *kind {
	return newKind(spec[corev1.Node]{
		resource: "nodes", path: "api/v1/nodes", goType: "*v1.Node",
		identity: []string{"node"},
		identify: func(n *corev1.Node) []string { return []string{n.Name} },
		families: []family[corev1.Node]{{
			name: "kube_node_created", help: "Unix creation timestamp",
			write: func(w *writer, n *corev1.Node) { w.time(n.CreationTimestamp) },
		}, {
			name: "kube_node_spec_taint", help: "The taint of a cluster node.",
			labels: []string{"key", "value", "effect"},
			write: func(w *writer, n *corev1.Node) {
				for _, t := range n.Spec.Taints {
					w.put(1, t.Key, t.Value, string(t.Effect))
				}
			},
		}},
	})
}
