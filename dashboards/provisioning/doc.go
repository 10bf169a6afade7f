// Package provisioning is what a Grafana reads at its start to know the stores
// and the dashboards: data sources that lead into each other, and the folder.
//
// From an exemplar to its trace: the label trace_id of the exemplar, opened in
// Jaeger. From a line to its trace: the structured metadata trace_id. From a
// span to lines: those of its pod around its time which carry the span's trace
// id or none, so that pods whose lines know nothing of traces answer too. From a
// span to metrics: use of its pod, and requests of its operation.
//
// The chart assembles the same from datasources.json, as it alone knows which
// stores it installs; datasources.yaml and dashboards.yaml are for people with a
// Grafana of their own.
package provisioning
