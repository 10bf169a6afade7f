package kubestate

import admissionv1 "k8s.io/api/admissionregistration/v1"

func mutatingWebhookConfigurations() *kind {
	type configuration = admissionv1.MutatingWebhookConfiguration
	const noun = "mutatingwebhookconfiguration"
	return newKind(spec[configuration]{
		resource: noun + "s", path: "apis/admissionregistration.k8s.io/v1/" + noun + "s",
		goType:   "*v1.MutatingWebhookConfiguration",
		identity: []string{noun},
		identify: clusterName[configuration],
		families: append(webhookFamilies[configuration](noun, "MutatingWebhookConfiguration"), family[configuration]{
			name: "kube_" + noun + "_webhook_clientconfig_service",
			help: "Service used by the apiserver to connect to a mutating webhook.", labels: webhookLabels,
			write: func(w *writer, c *configuration) {
				for _, hook := range c.Webhooks {
					writeWebhook(w, hook.Name, hook.ClientConfig.Service)
				}
			},
		}),
	})
}

func validatingWebhookConfigurations() *kind {
	type configuration = admissionv1.ValidatingWebhookConfiguration
	const noun = "validatingwebhookconfiguration"
	return newKind(spec[configuration]{
		resource: noun + "s", path: "apis/admissionregistration.k8s.io/v1/" + noun + "s",
		goType:   "*v1.ValidatingWebhookConfiguration",
		identity: []string{noun},
		identify: clusterName[configuration],
		families: append(webhookFamilies[configuration](noun, "ValidatingWebhookConfiguration"), family[configuration]{
			name: "kube_" + noun + "_webhook_clientconfig_service",
			help: "Service used by the apiserver to connect to a validating webhook.", labels: webhookLabels,
			write: func(w *writer, c *configuration) {
				for _, hook := range c.Webhooks {
					writeWebhook(w, hook.Name, hook.ClientConfig.Service)
				}
			},
		}),
	})
}

func webhookFamilies[T any, P of[T]](noun, title string) []family[T] {
	created := createdFamily[T, P](noun)
	created.help += "."
	return []family[T]{
		existsFamily[T](noun, "Information about the "+title+"."),
		created,
		versionFamily[T, P](noun, "the "+title),
	}
}

var webhookLabels = []string{"webhook_name", "service_name", "service_namespace"}

func writeWebhook(w *writer, name string, s *admissionv1.ServiceReference) {
	if s == nil {
		s = &admissionv1.ServiceReference{} // called by URL
	}
	w.put(1, name, s.Name, s.Namespace)
}
