// Package kubemeta knows the identity of a node's pods: which pod and which
// container a log path, a container id or an address belongs to.
//
// A Cache holds immutable Pod values and answers lookups; one of two sources
// fills it:
//
//   - APIServer watches the pods of one node (field selector spec.nodeName);
//     never a cluster-wide informer, never ReplicaSets or Jobs: the Deployment
//     and CronJob are derived from names.
//   - Kubelet polls the /pods endpoint of the node's kubelet; it needs no
//     access to the API server and survives its absence.
//
// Objects are trimmed while they are decoded: fields that no lookup or
// attribute needs are never allocated.
//
// A pod that was deleted stays findable for Tombstone, since its last log
// lines and spans arrive after it: deletion is an event of the API, not of the
// data. Neither source ever stops its user: an API server or a kubelet that
// cannot be reached is tried again for ever, and the last known pods stay.
//
// The package imports no collector package. Package kubeapi lists and watches
// for it.
package kubemeta
