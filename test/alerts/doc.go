// Package alerts proves on a real Kubernetes what people look at and what wakes
// them. It installs the chart with its quickstart and runs pods of test/workload:
//
//	HEALTHY_MINUTES=9 go test -tags e2e -count 1 -v -timeout 90m ./test/alerts
//
// What it proves, in this order, on one installation:
//
//   - TestHealthy: while nothing is wrong, no alert fires, and none is about to.
//     Alerts on nodes tell of the machine that carries the cluster, too: its clock,
//     its disk, its load. They are right if the kernel itself says the same at
//     that time (machine_test.go), and else a failure like all others.
//
//   - TestStatusPage: the page of each aggregator, for who has the token, tells of
//     all aggregators and agents.
//
//   - TestLinks: an exemplar, a span and a line lead to their trace or lines, by
//     the queries that the data sources of dashboards/provisioning make; all of a
//     hundred each.
//
//   - TestFaults: a crash loop, an OOM kill, an image that is not there, a pod
//     that fits nowhere, a full volume, a kubelet that stopped, a service that logs
//     errors (by Loki's ruler) and a Loki that is gone each make their alert pend and fire, for the object that it happened
//     to, with texts that name it and links that lead somewhere; and no alert
//     fires for anything else.
//
//   - TestCoverage: every query of every panel and rule returns data here, or
//     says what this cluster lacks and returns data from series made for it.
//     Its result is docs/coverage.md, which this writes anew:
//
//     go test -tags e2e -count 1 ./test/alerts -run TestCoverage -update
//
// Each can be run alone. -keep leaves the cluster for looking around; its
// kubeconfig is .cluster/8/kubeconfig, and -attach goes on with it. Images come from bin/images, or from the folder that
// CROWSNEST_IMAGES names; CLUSTER_NUMBER chooses another number than 8.
//
// TestHealthy watches for HEALTHY_MINUTES, 9 unless told otherwise. An alert fails it
// that has pended for 3 minutes, however long it would pend; so 9 minutes are enough
// for conditions over ranges of 5 minutes, as most have, filled with data of a
// cluster at rest, and one to spare. Whoever has an hour gives it 60.
//
// The alerts that TestFaults waits for have a short "for" by the chart's values;
// all others are as they are shipped.
//
// A test that fails leaves what the cluster says of itself where it says at its
// end: alerts, pods, events, logs. It is kept with go test's -artifacts.
package alerts
