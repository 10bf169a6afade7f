// Package apiserver runs a real etcd and a real kube-apiserver on loopback, for
// tests that need Kubernetes' API and no nodes: objects are what a test makes
// them, no controller touches them, pods run nowhere. It takes seconds to start
// once the programs are built (see test/cluster, which shares them).
//
// Admission is as the API server has it, without ServiceAccount (pods need none)
// and Priority's classes; authorization is RBAC.
package apiserver
