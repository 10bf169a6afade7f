package kubestate

import corev1 "k8s.io/api/core/v1"

func serviceAccounts() *kind {
	type account = corev1.ServiceAccount
	deleted := deletedFamily[account]("serviceaccount")
	deleted.name = "kube_serviceaccount_deleted"
	return newKind(spec[account]{
		resource: "serviceaccounts", path: "api/v1/serviceaccounts", goType: "*v1.ServiceAccount",
		identity: []string{"namespace", "serviceaccount", "uid"},
		identify: func(a *account) []string { return []string{a.Namespace, a.Name, string(a.UID)} },
		families: []family[account]{
			createdFamily[account]("serviceaccount"),
			deleted,
			labelsFamily[account]("serviceaccount"),
			annotationsFamily[account]("serviceaccount"),
			{
				name: "kube_serviceaccount_info", help: "Information about a service account",
				labels: []string{"automount_token"},
				write:  func(w *writer, a *account) { w.put(1, yesNo(a.AutomountServiceAccountToken)) },
			}, {
				name: "kube_serviceaccount_secret", help: "Secret being referenced by a service account",
				labels: []string{"name"},
				write: func(w *writer, a *account) {
					for _, s := range a.Secrets {
						w.put(1, s.Name)
					}
				},
			}, {
				name:   "kube_serviceaccount_image_pull_secret",
				help:   "Secret being referenced by a service account for the purpose of pulling images",
				labels: []string{"name"},
				write: func(w *writer, a *account) {
					for _, s := range a.ImagePullSecrets {
						w.put(1, s.Name)
					}
				},
			},
		},
	})
}
