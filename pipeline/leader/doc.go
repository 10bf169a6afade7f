// Package leader is the collector extension that says which one of several
// replicas does what only one may do, such as telling of the cluster's state.
//
// Source: a Lease of coordination.k8s.io, taken and renewed by client-go's
// leaderelection (get, create and update on leases in the namespace). Components
// find the extension by its id among the host's and give it a function by
// Lead, which runs it whenever this process leads.
//
// Guarantees: what ran as leader has ended before the lease is given back, so
// that with an orderly end the next leader never works beside the last one. A
// leader that cannot renew is told to end its work after two thirds of
// lease_duration and another one begins after the whole of it, which holds as long as the machines'
// clocks run equally fast. An API server that is away stops the work of the
// leader, and nothing else. Without a lease, or outside a cluster, this process
// always leads.
//
// Cost: one small request each two seconds per replica (at 15 s).
package leader
