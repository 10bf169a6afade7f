package kubestate

// clusterKinds are all kinds but pods and nodes.
func clusterKinds() []*kind {
	return []*kind{
		certificateSigningRequests(),
		configMaps(),
		cronJobs(),
		daemonSets(),
		deployments(),
		endpointSlices(),
		horizontalPodAutoscalers(),
		ingresses(),
		jobs(),
		leases(),
		limitRanges(),
		mutatingWebhookConfigurations(),
		namespaces(),
		networkPolicies(),
		persistentVolumeClaims(),
		persistentVolumes(),
		podDisruptionBudgets(),
		replicaSets(),
		replicationControllers(),
		resourceQuotas(),
		secrets(),
		serviceAccounts(),
		services(),
		statefulSets(),
		storageClasses(),
		validatingWebhookConfigurations(),
		verticalPodAutoscalers(),
		volumeAttachments(),
	}
}

// extraKinds are watched only where the configuration asks for them: few read
// their series, and a cluster has many of them.
func extraKinds() []*kind {
	return []*kind{
		clusterRoleBindings(),
		clusterRoles(),
		endpoints(),
		ingressClasses(),
		roleBindings(),
		roles(),
	}
}
