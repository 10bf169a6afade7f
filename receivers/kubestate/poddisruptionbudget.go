package kubestate

import policyv1 "k8s.io/api/policy/v1"

func podDisruptionBudgets() *kind {
	type pdb = policyv1.PodDisruptionBudget
	return newKind(spec[pdb]{
		resource: "poddisruptionbudgets", path: "apis/policy/v1/poddisruptionbudgets", goType: "*v1.PodDisruptionBudget",
		identity: []string{"namespace", "poddisruptionbudget"},
		identify: namespacedName[pdb],
		families: []family[pdb]{
			createdFamily[pdb]("poddisruptionbudget"),
			deletedFamily[pdb]("poddisruptionbudget"),
			labelsFamily[pdb]("poddisruptionbudget"),
			annotationsFamily[pdb]("poddisruptionbudget"),
			numberFamily("kube_poddisruptionbudget_status_current_healthy", "Current number of healthy pods",
				func(p *pdb) float64 { return float64(p.Status.CurrentHealthy) }),
			numberFamily("kube_poddisruptionbudget_status_desired_healthy", "Minimum desired number of healthy pods",
				func(p *pdb) float64 { return float64(p.Status.DesiredHealthy) }),
			numberFamily("kube_poddisruptionbudget_status_pod_disruptions_allowed", "Number of pod disruptions that are currently allowed",
				func(p *pdb) float64 { return float64(p.Status.DisruptionsAllowed) }),
			numberFamily("kube_poddisruptionbudget_status_expected_pods", "Total number of pods counted by this disruption budget",
				func(p *pdb) float64 { return float64(p.Status.ExpectedPods) }),
			numberFamily("kube_poddisruptionbudget_status_observed_generation", "Most recent generation observed when updating this PDB status",
				func(p *pdb) float64 { return float64(p.Status.ObservedGeneration) }),
		},
	})
}
