package kubestate

import appsv1 "k8s.io/api/apps/v1"

func replicaSets() *kind {
	return newKind(spec[appsv1.ReplicaSet]{
		resource: "replicasets", path: "apis/apps/v1/replicasets", goType: "*v1.ReplicaSet",
		identity: []string{"namespace", "replicaset"},
		identify: namespacedName[appsv1.ReplicaSet],
		families: []family[appsv1.ReplicaSet]{
			createdFamily[appsv1.ReplicaSet]("replicaset"),
			generationFamily[appsv1.ReplicaSet]("replicaset"),
			ownerFamily[appsv1.ReplicaSet]("replicaset", "ReplicaSet"),
			labelsFamily[appsv1.ReplicaSet]("replicaset"),
			annotationsFamily[appsv1.ReplicaSet]("replicaset"),
			numberFamily("kube_replicaset_status_replicas", "The number of replicas per ReplicaSet.",
				func(r *appsv1.ReplicaSet) float64 { return float64(r.Status.Replicas) }),
			numberFamily("kube_replicaset_status_fully_labeled_replicas", "The number of fully labeled replicas per ReplicaSet.",
				func(r *appsv1.ReplicaSet) float64 { return float64(r.Status.FullyLabeledReplicas) }),
			numberFamily("kube_replicaset_status_ready_replicas", "The number of ready replicas per ReplicaSet.",
				func(r *appsv1.ReplicaSet) float64 { return float64(r.Status.ReadyReplicas) }),
			numberFamily("kube_replicaset_status_observed_generation", "The generation observed by the ReplicaSet controller.",
				func(r *appsv1.ReplicaSet) float64 { return float64(r.Status.ObservedGeneration) }),
			{
				name:  "kube_replicaset_status_terminating_replicas",
				help:  "The number of terminating replicas per ReplicaSet.",
				write: func(w *writer, r *appsv1.ReplicaSet) { w.int32Ptr(r.Status.TerminatingReplicas) },
			}, {
				name: "kube_replicaset_spec_replicas", help: "Number of desired pods for a ReplicaSet.",
				write: func(w *writer, r *appsv1.ReplicaSet) { w.int32Ptr(r.Spec.Replicas) },
			},
		},
	})
}
