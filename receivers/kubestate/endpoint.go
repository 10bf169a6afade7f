package kubestate

//lint:file-ignore SA1019 deprecated, and still what the API server has and people watch

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// endpoints are what endpointslices were before; kube-state-metrics has them only
// by request, and so have we.
func endpoints() *kind {
	return newKind(spec[corev1.Endpoints]{
		resource: "endpoints", path: "api/v1/endpoints", goType: "*v1.Endpoints",
		identity: []string{"namespace", "endpoint"},
		identify: namespacedName[corev1.Endpoints],
		families: []family[corev1.Endpoints]{
			createdFamily[corev1.Endpoints]("endpoint"),
			existsFamily[corev1.Endpoints]("endpoint", "Information about endpoint."),
			labelsFamily[corev1.Endpoints]("endpoint"),
			annotationsFamily[corev1.Endpoints]("endpoint"),
			{
				name: "kube_endpoint_address", help: "Information about Endpoint available and non available addresses.",
				labels: []string{"port_protocol", "port_number", "port_name", "ip", "ready"},
				write: func(w *writer, e *corev1.Endpoints) {
					for _, s := range e.Subsets {
						for _, p := range s.Ports {
							writeAddresses(w, p, s.Addresses, "true")
							writeAddresses(w, p, s.NotReadyAddresses, "false")
						}
					}
				},
			}, {
				name: "kube_endpoint_ports", help: "(Deprecated since v2.14.0) Information about the Endpoint ports.",
				labels: []string{"port_name", "port_protocol", "port_number"},
				write: func(w *writer, e *corev1.Endpoints) {
					for _, s := range e.Subsets {
						for _, p := range s.Ports {
							w.put(1, p.Name, string(p.Protocol), strconv.Itoa(int(p.Port)))
						}
					}
				},
			},
		},
	})
}

func writeAddresses(w *writer, p corev1.EndpointPort, addresses []corev1.EndpointAddress, ready string) {
	for _, a := range addresses {
		w.put(1, string(p.Protocol), strconv.Itoa(int(p.Port)), p.Name, a.IP, ready)
	}
}
