// The custom resource definitions that the chart's objects are checked against
// are files of these modules; no package of them is built, so `go mod tidy`
// would drop both.
module github.com/crowsnest-o11y/crowsnest/test/chart/crds

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
