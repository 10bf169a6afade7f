package kubestate

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

func storageClasses() *kind {
	type class = storagev1.StorageClass
	return newKind(spec[class]{
		resource: "storageclasses", path: "apis/storage.k8s.io/v1/storageclasses", goType: "*v1.StorageClass",
		identity: []string{"storageclass"},
		identify: clusterName[class],
		families: []family[class]{
			createdFamily[class]("storageclass"),
			labelsFamily[class]("storageclass"),
			annotationsFamily[class]("storageclass"),
			{
				name: "kube_storageclass_info", help: "Information about storageclass.",
				labels: []string{"provisioner", "reclaim_policy", "volume_binding_mode"},
				write: func(w *writer, c *class) {
					// What Kubernetes does without them.
					policy, mode := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate
					if c.ReclaimPolicy != nil {
						policy = *c.ReclaimPolicy
					}
					if c.VolumeBindingMode != nil {
						mode = *c.VolumeBindingMode
					}
					w.put(1, c.Provisioner, string(policy), string(mode))
				},
			},
		},
	})
}
