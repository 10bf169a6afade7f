package kubestate

import appsv1 "k8s.io/api/apps/v1"

func statefulSets() *kind {
	generation := generationFamily[appsv1.StatefulSet]("statefulset")
	generation.help = "Sequence number representing a specific generation of the desired state for the StatefulSet."
	return newKind(spec[appsv1.StatefulSet]{
		resource: "statefulsets", path: "apis/apps/v1/statefulsets", goType: "*v1.StatefulSet",
		identity: []string{"namespace", "statefulset"},
		identify: namespacedName[appsv1.StatefulSet],
		families: append([]family[appsv1.StatefulSet]{
			createdFamily[appsv1.StatefulSet]("statefulset"),
			deletedFamily[appsv1.StatefulSet]("statefulset"),
			generation,
			labelsFamily[appsv1.StatefulSet]("statefulset"),
			annotationsFamily[appsv1.StatefulSet]("statefulset"),
			{
				name: "kube_statefulset_replicas", help: "Number of desired pods for a StatefulSet.",
				write: func(w *writer, s *appsv1.StatefulSet) { w.int32Ptr(s.Spec.Replicas) },
			}, {
				name: "kube_statefulset_ordinals_start", help: "Start ordinal of the StatefulSet.",
				write: func(w *writer, s *appsv1.StatefulSet) {
					if o := s.Spec.Ordinals; o != nil {
						w.put(float64(o.Start))
					}
				},
			}, {
				name:   "kube_statefulset_persistentvolumeclaim_retention_policy",
				help:   "Count of retention policy for StatefulSet template PVCs",
				labels: []string{"when_deleted", "when_scaled"},
				write: func(w *writer, s *appsv1.StatefulSet) {
					if p := s.Spec.PersistentVolumeClaimRetentionPolicy; p != nil && (p.WhenDeleted != "" || p.WhenScaled != "") {
						w.put(1, string(p.WhenDeleted), string(p.WhenScaled))
					}
				},
			},
		}, statefulSetStatus()...),
	})
}

func statefulSetStatus() []family[appsv1.StatefulSet] {
	return []family[appsv1.StatefulSet]{
		numberFamily("kube_statefulset_status_replicas", "The number of replicas per StatefulSet.",
			func(s *appsv1.StatefulSet) float64 { return float64(s.Status.Replicas) }),
		numberFamily("kube_statefulset_status_replicas_available", "The number of available replicas per StatefulSet.",
			func(s *appsv1.StatefulSet) float64 { return float64(s.Status.AvailableReplicas) }),
		numberFamily("kube_statefulset_status_replicas_current", "The number of current replicas per StatefulSet.",
			func(s *appsv1.StatefulSet) float64 { return float64(s.Status.CurrentReplicas) }),
		numberFamily("kube_statefulset_status_replicas_ready", "The number of ready replicas per StatefulSet.",
			func(s *appsv1.StatefulSet) float64 { return float64(s.Status.ReadyReplicas) }),
		numberFamily("kube_statefulset_status_replicas_updated", "The number of updated replicas per StatefulSet.",
			func(s *appsv1.StatefulSet) float64 { return float64(s.Status.UpdatedReplicas) }),
		numberFamily("kube_statefulset_status_observed_generation", "The generation observed by the StatefulSet controller.",
			func(s *appsv1.StatefulSet) float64 { return float64(s.Status.ObservedGeneration) }),
		{
			name:   "kube_statefulset_status_current_revision",
			help:   "Indicates the version of the StatefulSet used to generate Pods in the sequence [0,currentReplicas).",
			labels: []string{"revision"},
			write:  func(w *writer, s *appsv1.StatefulSet) { w.put(1, s.Status.CurrentRevision) },
		}, {
			name:   "kube_statefulset_status_update_revision",
			help:   "Indicates the version of the StatefulSet used to generate Pods in the sequence [replicas-updatedReplicas,replicas)",
			labels: []string{"revision"},
			write:  func(w *writer, s *appsv1.StatefulSet) { w.put(1, s.Status.UpdateRevision) },
		},
	}
}
