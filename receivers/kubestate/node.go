package kubestate

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// nodes gives the kind of nodes.
func nodes() *kind {
	return newKind(spec[corev1.Node]{
		resource: "nodes", path: "api/v1/nodes", goType: "*v1.Node",
		identity: []string{"node"},
		identify: func(n *corev1.Node) []string { return []string{n.Name} },
		families: slices.Concat(nodeFamilies(), nodeStatusFamilies()),
	})
}

// nodeFamilies are those of a node's metadata and spec.
func nodeFamilies() []family[corev1.Node] {
	return []family[corev1.Node]{{
		name: "kube_node_annotations", help: "Kubernetes annotations converted to Prometheus labels.", open: true,
		write: func(w *writer, n *corev1.Node) { w.annotations(n.Annotations) },
	}, {
		name: "kube_node_created", help: "Unix creation timestamp",
		write: func(w *writer, n *corev1.Node) { w.time(n.CreationTimestamp) },
	}, {
		name: "kube_node_deletion_timestamp", help: "Unix deletion timestamp",
		write: func(w *writer, n *corev1.Node) { w.timePtr(n.DeletionTimestamp) },
	}, {
		name: "kube_node_info", help: "Information about a cluster node.",
		labels: []string{"kernel_version", "os_image", "container_runtime_version", "kubelet_version",
			"kubeproxy_version", "provider_id", "pod_cidr", "system_uuid", "internal_ip"},
		write: func(w *writer, n *corev1.Node) {
			internal := ""
			for _, a := range n.Status.Addresses {
				if a.Type == corev1.NodeInternalIP {
					internal = a.Address
				}
			}
			about := &n.Status.NodeInfo
			w.put(1, about.KernelVersion, about.OSImage, about.ContainerRuntimeVersion, about.KubeletVersion,
				"deprecated", n.Spec.ProviderID, n.Spec.PodCIDR, about.SystemUUID, internal)
		},
	}, {
		name: "kube_node_labels", help: "Kubernetes labels converted to Prometheus labels.", open: true,
		write: func(w *writer, n *corev1.Node) { w.labels(n.Labels) },
	}, {
		name: "kube_node_role", help: "The role of a cluster node.", labels: []string{"role"},
		write: func(w *writer, n *corev1.Node) {
			for _, label := range slices.Sorted(maps.Keys(n.Labels)) {
				if role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/"); ok {
					w.put(1, role)
				}
			}
		},
	}, {
		name: "kube_node_spec_taint", help: "The taint of a cluster node.",
		labels: []string{"key", "value", "effect"},
		write: func(w *writer, n *corev1.Node) {
			for _, t := range n.Spec.Taints {
				w.put(1, t.Key, t.Value, string(t.Effect))
			}
		},
	}, {
		name: "kube_node_spec_unschedulable", help: "Whether a node can schedule new pods.",
		write: func(w *writer, n *corev1.Node) { w.flag(n.Spec.Unschedulable) },
	}}
}

// nodeStatusFamilies are those of what a node has and how it fares.
func nodeStatusFamilies() []family[corev1.Node] {
	return []family[corev1.Node]{{
		name: "kube_node_status_addresses", help: "Node address information.", labels: []string{"type", "address"},
		write: func(w *writer, n *corev1.Node) {
			for _, a := range n.Status.Addresses {
				w.put(1, string(a.Type), a.Address)
			}
		},
	}, {
		name: "kube_node_status_allocatable", labels: []string{"resource", "unit"},
		help:  "The allocatable for different resources of a node that are available for scheduling.",
		write: func(w *writer, n *corev1.Node) { writeNodeResources(w, n.Status.Allocatable) },
	}, {
		name: "kube_node_status_capacity", labels: []string{"resource", "unit"},
		help:  "The capacity for different resources of a node.",
		write: func(w *writer, n *corev1.Node) { writeNodeResources(w, n.Status.Capacity) },
	}, {
		name: "kube_node_status_condition", help: "The condition of a cluster node.", labels: []string{"condition", "status"},
		write: func(w *writer, n *corev1.Node) {
			for _, c := range n.Status.Conditions {
				w.condition(c.Status, string(c.Type))
			}
		},
	}}
}

func writeNodeResources(w *writer, list corev1.ResourceList) {
	for _, r := range measured(list) {
		w.put(quantity(r.amount), r.label, r.unit)
	}
	if pods, ok := list[corev1.ResourcePods]; ok {
		w.put(quantity(pods), "pods", unitInteger)
	}
}
