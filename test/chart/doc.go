// Package chart tests deploy/helm/crowsnest as its users meet it: by the helm
// command. The chart is linted, rendered with every values file in its ci
// folder, compared with deploy/helm/golden, and held against the schemas of
// Kubernetes, the Prometheus operator and cert-manager, which come from pinned
// modules, so that nothing is downloaded but modules.
//
//	go test ./test/chart -update   # accept the renders and write the README anew
package chart
