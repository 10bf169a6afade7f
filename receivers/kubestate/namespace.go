package kubestate

import corev1 "k8s.io/api/core/v1"

func namespaces() *kind {
	return newKind(spec[corev1.Namespace]{
		resource: "namespaces", path: "api/v1/namespaces", goType: "*v1.Namespace",
		identity: []string{"namespace"},
		identify: clusterName[corev1.Namespace],
		families: []family[corev1.Namespace]{
			createdFamily[corev1.Namespace]("namespace"),
			labelsFamily[corev1.Namespace]("namespace"),
			annotationsFamily[corev1.Namespace]("namespace"),
			{
				name: "kube_namespace_status_phase", help: "kubernetes namespace status phase.",
				labels: []string{"phase"},
				write: func(w *writer, n *corev1.Namespace) {
					w.states(string(n.Status.Phase), string(corev1.NamespaceActive), string(corev1.NamespaceTerminating))
				},
			}, {
				name: "kube_namespace_status_condition", help: "The condition of a namespace.",
				labels: []string{"condition", "status"},
				write: func(w *writer, n *corev1.Namespace) {
					for _, c := range n.Status.Conditions {
						w.condition(c.Status, string(c.Type))
					}
				},
			},
		},
	})
}
