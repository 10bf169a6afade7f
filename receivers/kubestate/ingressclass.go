package kubestate

import networkingv1 "k8s.io/api/networking/v1"

func ingressClasses() *kind {
	type class = networkingv1.IngressClass
	return newKind(spec[class]{
		resource: "ingressclasses", path: "apis/networking.k8s.io/v1/ingressclasses", goType: "*v1.IngressClass",
		identity: []string{"ingressclass"},
		identify: clusterName[class],
		families: []family[class]{
			createdFamily[class]("ingressclass"),
			labelsFamily[class]("ingressclass"),
			annotationsFamily[class]("ingressclass"),
			{
				name: "kube_ingressclass_info", help: "Information about ingressclass.", labels: []string{"controller"},
				write: func(w *writer, c *class) { w.put(1, c.Spec.Controller) },
			},
		},
	})
}
