package kubestate

import corev1 "k8s.io/api/core/v1"

func limitRanges() *kind {
	return newKind(spec[corev1.LimitRange]{
		resource: "limitranges", path: "api/v1/limitranges", goType: "*v1.LimitRange",
		identity: []string{"namespace", "limitrange"},
		identify: namespacedName[corev1.LimitRange],
		families: []family[corev1.LimitRange]{
			createdFamily[corev1.LimitRange]("limitrange"),
			{
				name: "kube_limitrange", help: "Information about limit range.",
				labels: []string{"resource", "type", "constraint"},
				write: func(w *writer, r *corev1.LimitRange) {
					for _, l := range r.Spec.Limits {
						writeLimits(w, l.Type, l.Min, "min")
						writeLimits(w, l.Type, l.Max, "max")
						writeLimits(w, l.Type, l.Default, "default")
						writeLimits(w, l.Type, l.DefaultRequest, "defaultRequest")
						writeLimits(w, l.Type, l.MaxLimitRequestRatio, "maxLimitRequestRatio")
					}
				},
			},
		},
	})
}

func writeLimits(w *writer, of corev1.LimitType, limits corev1.ResourceList, constraint string) {
	for _, name := range sortedResources(limits) {
		w.put(quantity(limits[name]), string(name), string(of), constraint)
	}
}
