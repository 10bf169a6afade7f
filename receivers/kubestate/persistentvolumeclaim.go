package kubestate

import corev1 "k8s.io/api/core/v1"

func persistentVolumeClaims() *kind {
	type claim = corev1.PersistentVolumeClaim
	return newKind(spec[claim]{
		resource: "persistentvolumeclaims", path: "api/v1/persistentvolumeclaims", goType: "*v1.PersistentVolumeClaim",
		identity: []string{"namespace", "persistentvolumeclaim"},
		identify: namespacedName[claim],
		families: []family[claim]{
			createdFamily[claim]("persistentvolumeclaim"),
			deletedFamily[claim]("persistentvolumeclaim"),
			labelsFamily[claim]("persistentvolumeclaim"),
			annotationsFamily[claim]("persistentvolumeclaim"),
			{
				name: "kube_persistentvolumeclaim_info", help: "Information about persistent volume claim.",
				labels: []string{"storageclass", "volumename", "volumemode"},
				write: func(w *writer, c *claim) {
					w.put(1, storageClassOf(c), c.Spec.VolumeName, text(c.Spec.VolumeMode))
				},
			}, {
				name: "kube_persistentvolumeclaim_status_phase", help: "The phase the persistent volume claim is currently in.",
				labels: []string{"phase"},
				write: func(w *writer, c *claim) {
					if c.Status.Phase != "" {
						w.states(string(c.Status.Phase), "Lost", "Bound", "Pending")
					}
				},
			}, {
				name: "kube_persistentvolumeclaim_resource_requests_storage_bytes",
				help: "The capacity of storage requested by the persistent volume claim.",
				write: func(w *writer, c *claim) {
					if bytes, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]; ok {
						w.put(float64(bytes.Value()))
					}
				},
			}, {
				name: "kube_persistentvolumeclaim_access_mode", help: "The access mode(s) specified by the persistent volume claim.",
				labels: []string{"access_mode"},
				write: func(w *writer, c *claim) {
					for _, mode := range c.Spec.AccessModes {
						w.put(1, string(mode))
					}
				},
			}, {
				name:   "kube_persistentvolumeclaim_status_condition",
				help:   "Information about status of different conditions of persistent volume claim.",
				labels: []string{"condition", "status"},
				write: func(w *writer, c *claim) {
					for _, condition := range c.Status.Conditions {
						w.condition(condition.Status, string(condition.Type))
					}
				},
			},
		},
	})
}

func storageClassOf(c *corev1.PersistentVolumeClaim) string {
	if class, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return class
	}
	return text(c.Spec.StorageClassName)
}
