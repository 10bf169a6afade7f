package kubestate

import (
	"maps"
	"slices"

	storagev1 "k8s.io/api/storage/v1"
)

func volumeAttachments() *kind {
	type attachment = storagev1.VolumeAttachment
	return newKind(spec[attachment]{
		resource: "volumeattachments", path: "apis/storage.k8s.io/v1/volumeattachments", goType: "*v1.VolumeAttachment",
		identity: []string{"volumeattachment"},
		identify: clusterName[attachment],
		families: []family[attachment]{
			createdFamily[attachment]("volumeattachment"),
			{
				name: "kube_volumeattachment_info", help: "Information about volumeattachment.",
				labels: []string{"attacher", "node"},
				write:  func(w *writer, a *attachment) { w.put(1, a.Spec.Attacher, a.Spec.NodeName) },
			}, {
				name: "kube_volumeattachment_spec_source_persistentvolume", help: "PersistentVolume source reference.",
				labels: []string{"volumename"},
				write: func(w *writer, a *attachment) {
					if name := a.Spec.Source.PersistentVolumeName; name != nil {
						w.put(1, *name)
					}
				},
			}, {
				name: "kube_volumeattachment_status_attached", help: "Information about volumeattachment.",
				write: func(w *writer, a *attachment) { w.flag(a.Status.Attached) },
			}, {
				name: "kube_volumeattachment_status_attachment_metadata", help: "volumeattachment metadata.", open: true,
				write: func(w *writer, a *attachment) { writeEvery(w, "metadata", a.Status.AttachmentMetadata) },
			}, {
				// No allow list has a say in these, here as in kube-state-metrics.
				name: "kube_volumeattachment_labels", help: "Kubernetes labels converted to Prometheus labels.", open: true,
				write: func(w *writer, a *attachment) { writeEvery(w, "label", a.Labels) },
			},
		},
	})
}

// writeEvery writes a point with a label for each entry.
func writeEvery(w *writer, prefix string, entries map[string]string) {
	names, values := labelsOf(prefix, slices.Collect(maps.Keys(entries)), entries)
	w.putNamed(1, names, values)
}
