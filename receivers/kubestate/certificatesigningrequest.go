package kubestate

import certificatesv1 "k8s.io/api/certificates/v1"

func certificateSigningRequests() *kind {
	type request = certificatesv1.CertificateSigningRequest
	return newKind(spec[request]{
		resource: "certificatesigningrequests", path: "apis/certificates.k8s.io/v1/certificatesigningrequests",
		goType:   "*v1.CertificateSigningRequest",
		identity: []string{"certificatesigningrequest", "signer_name"},
		identify: func(r *request) []string { return []string{r.Name, r.Spec.SignerName} },
		families: []family[request]{
			createdFamily[request]("certificatesigningrequest"),
			labelsFamily[request]("certificatesigningrequest"),
			annotationsFamily[request]("certificatesigningrequest"),
			{
				name:   "kube_certificatesigningrequest_condition",
				help:   "The number of each certificatesigningrequest condition",
				labels: []string{"condition"},
				write: func(w *writer, r *request) {
					writeConditionCount(w, r, certificatesv1.CertificateApproved, "approved")
					writeConditionCount(w, r, certificatesv1.CertificateDenied, "denied")
					writeConditionCount(w, r, certificatesv1.CertificateFailed, "failed")
				},
			},
			numberFamily("kube_certificatesigningrequest_cert_length", "Length of the issued cert",
				func(r *request) float64 { return float64(len(r.Status.Certificate)) }),
		},
	})
}

func writeConditionCount(w *writer, r *certificatesv1.CertificateSigningRequest, of certificatesv1.RequestConditionType, label string) {
	n := 0
	for _, c := range r.Status.Conditions {
		if c.Type == of {
			n++
		}
	}
	w.put(float64(n), label)
}
