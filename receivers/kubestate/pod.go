package kubestate

import (
	corev1 "k8s.io/api/core/v1"
)

// pods gives the kind of pods.
func pods() *kind {
	return newKind(spec[corev1.Pod]{
		resource: "pods", path: "api/v1/pods", goType: "*v1.Pod",
		identity: []string{"namespace", "pod", "uid"},
		identify: func(p *corev1.Pod) []string { return []string{p.Namespace, p.Name, string(p.UID)} },
		families: []family[corev1.Pod]{{
			name: "kube_pod_created", help: "Unix creation timestamp",
			write: func(w *writer, p *corev1.Pod) { w.time(p.CreationTimestamp) },
		}, {
			name: "kube_pod_labels", help: "Kubernetes labels converted to Prometheus labels.", open: true,
			write: func(w *writer, p *corev1.Pod) { w.labels(p.Labels) },
		}},
	})
}
