// Command bench measures the whole programs as they ship: CPU per item and
// memory of agent and aggregator, read from the kernel, never wall time, since
// the machine may be shared. RESULTS.md keeps what was measured.
//
//	make build && go run ./bench
//
// Log lines are written beforehand, laid out as the kubelet does; the agent
// reads, compresses and sends them, the aggregator pushes them to a server that
// answers as Loki does and keeps nothing. Every line must arrive.
package main
