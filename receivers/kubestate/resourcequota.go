package kubestate

import corev1 "k8s.io/api/core/v1"

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
					for name, n := range q.Status.Hard {
						w.put(quantity(n), string(name), "hard")
					}
					for name, n := range q.Status.Used {
						w.put(quantity(n), string(name), "used")
					}
				},
			},
		},
	})
}
