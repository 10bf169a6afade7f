// Package kubestate compares the receiver kubestate with kube-state-metrics
// itself (test/kubestatemetrics pins it): both watch one API server, which has the
// objects of testdata/objects in all the states that could be thought of, and
// every series, by name, labels and value, must be the same, and every family's
// help and type. What differs on purpose is listed with its reason in
// differences_test.go; anything else fails the test.
//
// The receiver watches as a service account that may list and watch and nothing
// else (testdata/objects/99-permissions.yaml), through a proxy that looks for the
// values of secrets in all that comes to it.
//
//	go test -tags e2e -count 1 ./test/kubestate
//
// The API server and its etcd run alone (test/apiserver): no controller changes
// what the objects say. Building them takes minutes once, hence the tag.
package kubestate
