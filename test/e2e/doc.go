// Package e2e installs the chart on a real Kubernetes, as a person would, runs
// the pods of test/workload beside it, disturbs it, and looks into the stores
// that the chart's quickstart runs:
//
//	make e2e          # images, cluster, test; ends the cluster
//
// It has a cluster of its own beside that of make cluster; its kubeconfig is
// .cluster/5/kubeconfig. To look around afterwards:
//
//	go test -tags e2e -count 1 -v ./test/e2e -keep
//
// The steps depend on each other and so are one test. What the workload wrote is
// known from the lines themselves (test/nodesim), from how often Kubernetes says
// that it ran, and from the end of each log as the kubelet gives it.
//
// The tag keeps it out of go test ./..., which runs on machines that cannot
// carry a cluster.
package e2e
