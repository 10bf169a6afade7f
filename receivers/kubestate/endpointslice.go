package kubestate

import (
	"strconv"

	discoveryv1 "k8s.io/api/discovery/v1"
)

func endpointSlices() *kind {
	type slice = discoveryv1.EndpointSlice
	return newKind(spec[slice]{
		resource: "endpointslices", path: "apis/discovery.k8s.io/v1/endpointslices", goType: "*v1.EndpointSlice",
		identity: []string{"namespace", "endpointslice"},
		identify: namespacedName[slice],
		families: []family[slice]{
			createdFamily[slice]("endpointslice"),
			labelsFamily[slice]("endpointslice"),
			annotationsFamily[slice]("endpointslice"),
			{
				name: "kube_endpointslice_info", help: "Information about endpointslice.", labels: []string{"addresstype"},
				write: func(w *writer, s *slice) { w.put(1, string(s.AddressType)) },
			}, {
				name: "kube_endpointslice_ports", help: "Ports attached to the endpointslice.",
				labels: []string{"port_name", "port_protocol", "port_number"},
				write: func(w *writer, s *slice) {
					for _, p := range s.Ports {
						w.put(1, text(p.Name), text(p.Protocol), whole(p.Port))
					}
				},
			}, {
				name: "kube_endpointslice_endpoints_hints", help: "Topology routing hints attached to endpoints",
				labels: []string{"address", "for_zone"}, write: writeHints,
			}, {
				name: "kube_endpointslice_endpoints", help: "Endpoints attached to the endpointslice.",
				labels: []string{"ready", "serving", "terminating", "hostname", "targetref_kind", "targetref_name",
					"targetref_namespace", "endpoint_nodename", "endpoint_zone", "address"},
				write: writeEndpoints,
			},
		},
	})
}

func writeHints(w *writer, s *discoveryv1.EndpointSlice) {
	for _, e := range s.Endpoints {
		if e.Hints == nil || len(e.Addresses) == 0 {
			continue
		}
		for _, zone := range e.Hints.ForZones {
			w.put(1, e.Addresses[0], zone.Name)
		}
	}
}

func writeEndpoints(w *writer, s *discoveryv1.EndpointSlice) {
	for _, e := range s.Endpoints {
		var kind, name, namespace string
		if t := e.TargetRef; t != nil {
			kind, name, namespace = t.Kind, t.Name, t.Namespace
		}
		for _, address := range e.Addresses {
			w.put(1, yesNo(e.Conditions.Ready), yesNo(e.Conditions.Serving), yesNo(e.Conditions.Terminating), text(e.Hostname),
				kind, name, namespace, text(e.NodeName), text(e.Zone), address)
		}
	}
}

// text, whole and yesNo give an optional field as a label's value.
func text[S ~string](s *S) string {
	if s == nil {
		return ""
	}
	return string(*s)
}

func whole(n *int32) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(*n))
}

func yesNo(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}
