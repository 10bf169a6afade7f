// Package nodesim simulates one Kubernetes node as an agent sees it, without
// Kubernetes: container log files written as containerd writes them and rotated
// as the kubelet rotates them, the kubelet's HTTPS endpoints, and pods that send
// traces from addresses of their own (Linux answers on all of 127.0.0.0/8).
//
// What it writes can be accounted for: every log line carries its stream, a
// sequence number without gaps and a checksum (line.go), every file knows which
// lines it holds, and a trace counts once the receiver acknowledged it. Seen
// (seen.go) turns what was found in a store into missing, repeated and damaged
// lines.
//
// The shapes of pod list, metrics pages and log files are those of a real node
// (testdata/ holds the captures, Kubernetes v1.37).
package nodesim
