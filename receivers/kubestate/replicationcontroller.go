package kubestate

import corev1 "k8s.io/api/core/v1"

func replicationControllers() *kind {
	type rc = corev1.ReplicationController
	return newKind(spec[rc]{
		resource: "replicationcontrollers", path: "api/v1/replicationcontrollers", goType: "*v1.ReplicationController",
		identity: []string{"namespace", "replicationcontroller"},
		identify: namespacedName[rc],
		families: []family[rc]{
			createdFamily[rc]("replicationcontroller"),
			generationFamily[rc]("replicationcontroller"),
			ownerFamily[rc]("replicationcontroller", "ReplicationController"),
			numberFamily("kube_replicationcontroller_status_replicas", "The number of replicas per ReplicationController.",
				func(r *rc) float64 { return float64(r.Status.Replicas) }),
			numberFamily("kube_replicationcontroller_status_fully_labeled_replicas", "The number of fully labeled replicas per ReplicationController.",
				func(r *rc) float64 { return float64(r.Status.FullyLabeledReplicas) }),
			numberFamily("kube_replicationcontroller_status_ready_replicas", "The number of ready replicas per ReplicationController.",
				func(r *rc) float64 { return float64(r.Status.ReadyReplicas) }),
			numberFamily("kube_replicationcontroller_status_available_replicas", "The number of available replicas per ReplicationController.",
				func(r *rc) float64 { return float64(r.Status.AvailableReplicas) }),
			numberFamily("kube_replicationcontroller_status_observed_generation", "The generation observed by the ReplicationController controller.",
				func(r *rc) float64 { return float64(r.Status.ObservedGeneration) }),
			{
				name: "kube_replicationcontroller_spec_replicas", help: "Number of desired pods for a ReplicationController.",
				write: func(w *writer, r *rc) { w.int32Ptr(r.Spec.Replicas) },
			},
		},
	})
}
