// Package system starts the whole of Crowsnest on one machine: a simulated node
// (test/nodesim), the agent, the aggregator and the three real stores
// (test/stores); and it tells, by asking the stores, whether everything that
// the node produced arrived: every log line (by a bitmap per stream, so that a
// repetition cannot hide a loss), every container's CPU series, every trace.
//
// The demo presents it; end-to-end tests add the faults.
package system
