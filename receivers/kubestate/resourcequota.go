package kubestate

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

func resourceQuotas() *kind {
	return newKind(spec[corev1.ResourceQuota]{
		resource: "resourcequotas", path: "api/v1/resourcequotas", goType: "*v1.ResourceQuota",
		identity: []string{"namespace", "resourcequota"},
		identify: namespacedName[corev1.ResourceQuota],
		families: []family[corev1.ResourceQuota]{
			createdFamily[corev1.ResourceQuota]("resourcequota"),
			labelsFamily[corev1.ResourceQuota]("resourcequota"),
			annotationsFamily[corev1.ResourceQuota]("resourcequota"),
			{
				name: "kube_resourcequota", help: "Information about resource quota.",
				labels: []string{"resource", "type"},
				write: func(w *writer, q *corev1.ResourceQuota) {
					for _, name := range sortedResources(q.Status.Hard) {
						w.put(quantity(q.Status.Hard[name]), string(name), "hard")
					}
					for _, name := range sortedResources(q.Status.Used) {
						w.put(quantity(q.Status.Used[name]), string(name), "used")
					}
				},
			},
		},
	})
}

// sortedResources gives the names in an order that is the same each time, for
// an object whose series are what they were costs nothing.
func sortedResources(l corev1.ResourceList) []corev1.ResourceName {
	return slices.Sorted(maps.Keys(l))
}
