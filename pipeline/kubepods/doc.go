// Package kubepods is the collector extension that knows the pods of this
// node. It owns a kubemeta.Cache and the source that fills it; receivers and
// processors find it by its component id among the host's extensions and ask
// it for Cache().
//
// Source: the API server (a watch of this node's pods; get, list and watch on
// pods), or the kubelet's /pods (a poll each five seconds; get on nodes/pods,
// before Kubernetes 1.33 nodes/proxy), or none.
//
// Guarantees: a source that cannot be reached, refuses or talks nonsense is
// tried again for as long as the program runs, and stops nothing: the last
// known pods stay. Outside a cluster, the source apiserver without a
// kubeconfig becomes the source none, with one warning. Cache().Available()
// is false then, and consumers must not wait for pods.
//
// Cost: about 2 KiB of heap per pod; one connection. The kubelet source reads
// the whole pod list with each poll, about 10 ms of CPU for 110 pods, where the
// watch costs nothing while nothing changes.
package kubepods
