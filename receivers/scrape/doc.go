// Package scrape is the collector receiver that scrapes Prometheus targets:
// fixed jobs, the pods of this node by their annotations, by PodMonitors and
// by ServiceMonitors, the control plane's components that are pods of this node, and the
// API servers.
package scrape
