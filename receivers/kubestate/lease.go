package kubestate

import coordinationv1 "k8s.io/api/coordination/v1"

func leases() *kind {
	type lease = coordinationv1.Lease
	return newKind(spec[lease]{
		resource: "leases", path: "apis/coordination.k8s.io/v1/leases", goType: "*v1.Lease",
		identity: []string{"namespace", "lease"},
		identify: namespacedName[lease],
		families: []family[lease]{{
			name: "kube_lease_owner", help: "Information about the Lease's owner.",
			labels: []string{"owner_kind", "owner_name", "lease_holder"},
			write: func(w *writer, l *lease) {
				holder := text(l.Spec.HolderIdentity)
				if len(l.OwnerReferences) == 0 {
					w.put(1, "", "", holder)
				}
				for _, o := range l.OwnerReferences {
					w.put(1, o.Kind, o.Name, holder)
				}
			},
		}, {
			name: "kube_lease_renew_time", help: "Kube lease renew time.",
			write: func(w *writer, l *lease) {
				if t := l.Spec.RenewTime; !t.IsZero() {
					w.put(float64(t.Unix()))
				}
			},
		}},
	})
}
