// Package dashboards holds the Grafana dashboards, one question each, as Go.
// Their JSON lies beside it under json/ (go test ./dashboards -update writes it
// again) and is what the chart and people with a Grafana of their own import.
//
// Nothing in it names a data source: the variables datasource (Prometheus),
// loki and jaeger choose it. Metric names and labels are those of
// kubernetes-mixin, node-mixin and kube-state-metrics; recording rules are used
// where they say more than the expression they stand for (who owns a pod).
//
// [All] gives every dashboard with its panels and their queries, so that checks
// can run each of them against real stores; [Query.Needs] says what a cluster
// must have before a query can return anything.
package dashboards
