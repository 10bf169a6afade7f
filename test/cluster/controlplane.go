package cluster

import "github.com/crowsnest-o11y/crowsnest/test/toolchain"

// ControlPlanePrograms are etcd and kube-apiserver, for tests that need the API
// and no nodes.
func ControlPlanePrograms() (etcd, apiserver toolchain.Program) {
	return etcdProgram, apiserverProgram
}
