package kubestate

import appsv1 "k8s.io/api/apps/v1"

func daemonSets() *kind {
	type set = appsv1.DaemonSet
	return newKind(spec[set]{
		resource: "daemonsets", path: "apis/apps/v1/daemonsets", goType: "*v1.DaemonSet",
		identity: []string{"namespace", "daemonset"},
		identify: namespacedName[set],
		families: []family[set]{
			createdFamily[set]("daemonset"),
			deletedFamily[set]("daemonset"),
			generationFamily[set]("daemonset"),
			labelsFamily[set]("daemonset"),
			annotationsFamily[set]("daemonset"),
			numberFamily("kube_daemonset_status_current_number_scheduled",
				"The number of nodes running at least one daemon pod and are supposed to.",
				func(d *set) float64 { return float64(d.Status.CurrentNumberScheduled) }),
			numberFamily("kube_daemonset_status_desired_number_scheduled",
				"The number of nodes that should be running the daemon pod.",
				func(d *set) float64 { return float64(d.Status.DesiredNumberScheduled) }),
			numberFamily("kube_daemonset_status_number_available",
				"The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and available",
				func(d *set) float64 { return float64(d.Status.NumberAvailable) }),
			numberFamily("kube_daemonset_status_number_misscheduled",
				"The number of nodes running a daemon pod but are not supposed to.",
				func(d *set) float64 { return float64(d.Status.NumberMisscheduled) }),
			numberFamily("kube_daemonset_status_number_ready",
				"The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and ready.",
				func(d *set) float64 { return float64(d.Status.NumberReady) }),
			numberFamily("kube_daemonset_status_number_unavailable",
				"The number of nodes that should be running the daemon pod and have none of the daemon pod running and available",
				func(d *set) float64 { return float64(d.Status.NumberUnavailable) }),
			numberFamily("kube_daemonset_status_observed_generation",
				"The most recent generation observed by the daemon set controller.",
				func(d *set) float64 { return float64(d.Status.ObservedGeneration) }),
			numberFamily("kube_daemonset_status_updated_number_scheduled",
				"The total number of nodes that are running updated daemon pod",
				func(d *set) float64 { return float64(d.Status.UpdatedNumberScheduled) }),
		},
	})
}
