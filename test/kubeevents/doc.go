// Package kubeevents checks what the aggregators promise of Kubernetes events:
// two of them, a real API server and a real Loki, all of which are disturbed
// while events are made; each occurrence that the API server kept is in Loki
// once, in the stream of its namespace.
package kubeevents
