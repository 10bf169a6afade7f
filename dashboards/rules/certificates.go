package rules

// twice is an alert on the time that a certificate has left: seven days before
// its end as a warning, one day before it as critical.
func twice(a Alert) []Alert {
	a.Variant, a.Severity, a.Params = "Warning", warning, map[string]string{"seconds": "604800"}
	b := a
	b.Variant, b.Severity, b.Params = "Critical", critical, map[string]string{"seconds": "86400"}
	return []Alert{a, b}
}

func certificates() []Alert {
	alerts := twice(Alert{Name: "KubeClientCertificateExpiration", For: "5m", Board: "control-plane", Expr: `
		histogram_quantile(0.01,
			sum without (namespace, service, endpoint) (rate(apiserver_client_certificate_expiration_seconds_bucket{job="apiserver"}[5m]))
		) < <seconds>
		and on (cluster, job, instance)
		apiserver_client_certificate_expiration_seconds_count{job="apiserver"} > 0`,
		Summary: "A client's certificate is about to end.",
		Text:    `A client of the API server {{ $labels.instance }} uses a certificate that ends in less than <seconds> s.`})
	alerts = append(alerts, twice(Alert{Name: "KubeletClientCertificateExpiration", Board: "node node",
		Expr:    `kubelet_certificate_manager_client_ttl_seconds{job="kubelet",metrics_path="/metrics"} < <seconds>`,
		Summary: "A kubelet's client certificate is about to end.",
		Text:    `The client certificate of the kubelet of node {{ $labels.node }} ends in {{ $value | humanizeDuration }}.`})...)
	alerts = append(alerts, twice(Alert{Name: "KubeletServerCertificateExpiration", Board: "node node",
		Expr:    `kubelet_certificate_manager_server_ttl_seconds{job="kubelet",metrics_path="/metrics"} < <seconds>`,
		Summary: "A kubelet's server certificate is about to end.",
		Text:    `The server certificate of the kubelet of node {{ $labels.node }} ends in {{ $value | humanizeDuration }}.`})...)
	alerts = append(alerts, []Alert{
		{Name: "KubeletClientCertificateRenewalErrors", Severity: warning, For: "15m", Board: "node node",
			Expr:    `increase(kubelet_certificate_manager_client_expiration_renew_errors{job="kubelet",metrics_path="/metrics"}[5m]) > 0`,
			Summary: "A kubelet cannot renew its client certificate.",
			Text:    `The kubelet of node {{ $labels.node }} failed {{ printf "%.0f" $value }} times in 5 minutes to renew its client certificate.`},
		{Name: "KubeletServerCertificateRenewalErrors", Severity: warning, For: "15m", Board: "node node",
			Expr:    `increase(kubelet_server_expiration_renew_errors{job="kubelet",metrics_path="/metrics"}[5m]) > 0`,
			Summary: "A kubelet cannot renew its server certificate.",
			Text:    `The kubelet of node {{ $labels.node }} failed {{ printf "%.0f" $value }} times in 5 minutes to renew its server certificate.`},
		{Name: "KubeCertificateSigningRequestPending", Severity: warning, For: "30m", Board: "control-plane", Expr: `
		sum by (cluster, certificatesigningrequest, signer_name) (kube_certificatesigningrequest_condition{job="kube-state-metrics"}) == 0`,
			Summary: "A certificate request waits for approval.",
			Text:    `CertificateSigningRequest {{ $labels.certificatesigningrequest }} to {{ $labels.signer_name }} is neither approved nor denied.`},
		{Name: "CertManagerCertificateNotReady", Severity: critical, For: "10m", Board: "control-plane",
			Expr:    `max by (cluster, namespace, name, condition) (certmanager_certificate_ready_status{condition!="True"<ns>} == 1)`,
			Summary: "cert-manager cannot issue a certificate.",
			Text:    `Certificate {{ $labels.name }} in namespace {{ $labels.namespace }} is not ready.`},
	}...)
	return append(alerts, twice(Alert{Name: "CertManagerCertificateExpiring", For: "1h", Board: "control-plane",
		Expr:    `min by (cluster, namespace, name) (certmanager_certificate_expiration_timestamp_seconds{name!=""<ns>}) - time() < <seconds>`,
		Summary: "A certificate is about to end and is not renewed.",
		Text:    `Certificate {{ $labels.name }} in namespace {{ $labels.namespace }} ends in {{ $value | humanizeDuration }} and cert-manager has not renewed it.`})...)
}
