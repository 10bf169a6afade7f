package kubestate

import (
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
)

func ingresses() *kind {
	type ingress = networkingv1.Ingress
	return newKind(spec[ingress]{
		resource: "ingresses", path: "apis/networking.k8s.io/v1/ingresses", goType: "*v1.Ingress",
		identity: []string{"namespace", "ingress"},
		identify: namespacedName[ingress],
		families: []family[ingress]{
			createdFamily[ingress]("ingress"),
			versionFamily[ingress]("ingress", "ingress"),
			labelsFamily[ingress]("ingress"),
			annotationsFamily[ingress]("ingress"),
			{
				name: "kube_ingress_info", help: "Information about ingress.", labels: []string{"ingressclass"},
				write: func(w *writer, i *ingress) { w.put(1, ingressClassOf(i)) },
			}, {
				name: "kube_ingress_path", help: "Ingress host, paths and backend service information.",
				labels: []string{"host", "path", "path_type", "service_name", "service_port",
					"resource_api_group", "resource_kind", "resource_name"},
				write: writeIngressPaths,
			}, {
				name: "kube_ingress_tls", help: "Ingress TLS host and secret information.",
				labels: []string{"tls_host", "secret"},
				write: func(w *writer, i *ingress) {
					for _, t := range i.Spec.TLS {
						for _, host := range t.Hosts {
							w.put(1, host, t.SecretName)
						}
					}
				},
			},
		},
	})
}

func ingressClassOf(i *networkingv1.Ingress) string {
	if class, ok := i.Annotations["kubernetes.io/ingress.class"]; ok {
		return class
	}
	if i.Spec.IngressClassName != nil {
		return *i.Spec.IngressClassName
	}
	return "_default"
}

func writeIngressPaths(w *writer, i *networkingv1.Ingress) {
	for _, rule := range i.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			switch s, r := p.Backend.Service, p.Backend.Resource; {
			case s != nil:
				w.put(1, rule.Host, p.Path, text(p.PathType), s.Name, strconv.Itoa(int(s.Port.Number)), "", "", "")
			case r != nil:
				w.put(1, rule.Host, p.Path, text(p.PathType), "", "", text(r.APIGroup), r.Kind, r.Name)
			}
		}
	}
}
