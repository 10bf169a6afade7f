package kubestate

// builtin are the kinds that are always watched in scope cluster and all,
// beside pods, which every scope has.
func builtin() []*kind {
	return append([]*kind{
		nodes(),
	}, clusterKinds()...)
}
