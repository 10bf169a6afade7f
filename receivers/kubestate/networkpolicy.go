package kubestate

import networkingv1 "k8s.io/api/networking/v1"

func networkPolicies() *kind {
	type policy = networkingv1.NetworkPolicy
	created := createdFamily[policy]("networkpolicy")
	created.help = "Unix creation timestamp of network policy"
	return newKind(spec[policy]{
		resource: "networkpolicies", path: "apis/networking.k8s.io/v1/networkpolicies", goType: "*v1.NetworkPolicy",
		identity: []string{"namespace", "networkpolicy"},
		identify: namespacedName[policy],
		families: []family[policy]{
			created,
			labelsFamily[policy]("networkpolicy"),
			annotationsFamily[policy]("networkpolicy"),
			numberFamily("kube_networkpolicy_spec_ingress_rules", "Number of ingress rules on the networkpolicy",
				func(p *policy) float64 { return float64(len(p.Spec.Ingress)) }),
			numberFamily("kube_networkpolicy_spec_egress_rules", "Number of egress rules on the networkpolicy",
				func(p *policy) float64 { return float64(len(p.Spec.Egress)) }),
		},
	})
}
