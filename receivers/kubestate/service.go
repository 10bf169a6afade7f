package kubestate

import corev1 "k8s.io/api/core/v1"

func services() *kind {
	return newKind(spec[corev1.Service]{
		resource: "services", path: "api/v1/services", goType: "*v1.Service",
		identity: []string{"namespace", "service", "uid"},
		identify: func(s *corev1.Service) []string { return []string{s.Namespace, s.Name, string(s.UID)} },
		families: []family[corev1.Service]{
			createdFamily[corev1.Service]("service"),
			deletedFamily[corev1.Service]("service"),
			labelsFamily[corev1.Service]("service"),
			annotationsFamily[corev1.Service]("service"),
			{
				name: "kube_service_info", help: "Information about service.",
				labels: []string{"cluster_ip", "external_name", "load_balancer_ip", "external_traffic_policy"},
				write: func(w *writer, s *corev1.Service) {
					w.put(1, s.Spec.ClusterIP, s.Spec.ExternalName, s.Spec.LoadBalancerIP, string(s.Spec.ExternalTrafficPolicy))
				},
			}, {
				name: "kube_service_spec_type", help: "Type about service.", labels: []string{"type"},
				write: func(w *writer, s *corev1.Service) { w.put(1, string(s.Spec.Type)) },
			}, {
				name: "kube_service_spec_external_ip", help: "Service external ips. One series for each ip",
				labels: []string{"external_ip"},
				write: func(w *writer, s *corev1.Service) {
					for _, ip := range s.Spec.ExternalIPs {
						w.put(1, ip)
					}
				},
			}, {
				name: "kube_service_status_load_balancer_ingress", help: "Service load balancer ingress status",
				labels: []string{"ip", "hostname"},
				write: func(w *writer, s *corev1.Service) {
					for _, i := range s.Status.LoadBalancer.Ingress {
						w.put(1, i.IP, i.Hostname)
					}
				},
			},
		},
	})
}
