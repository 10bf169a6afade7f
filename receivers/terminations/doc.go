// Package terminations is the receiver "terminations": it counts every exit of
// a container and every process that the kernel's OOM killer killed in one.
// kube_pod_container_status_last_terminated_reason knows but the last exit, and
// container_oom_events_total goes with the container; these counters stay.
//
//	container_terminations_total{namespace,pod,container,reason,exit_code}
//	container_oom_kills_total{namespace,pod,container}
//
// with job="crowsnest-agent" and instance=<node name>. Reasons are those of
// Kubernetes: Completed, Error, OOMKilled, StartError, ContainerStatusUnknown
// (with exit code 137) for one that ended and was removed unseen.
//
//	receivers:
//	  terminations:
//	    node: ${env:NODE_NAME}
//	    directory: /var/lib/crowsnest/terminations
//
// # Sources
//
//   - The CRI socket's stream of container events, which brings the status of
//     a container that ends, however short it was. Of a start that fails it says
//     nothing, so containers that were created are asked for until they run, and
//     those of the same pod in every event are looked at.
//   - The CRI list of containers, read each collection_interval: ended containers
//     stay in it until the kubelet removes them (a minute or more). It makes up
//     for what the stream missed: while the agent was away, while the stream was
//     broken, or if the runtime has none (CRI-O needs enable_pod_events).
//   - The cgroups' count of OOM kills, read each second: memory.events (v2) or
//     memory.oom_control (v1). It also has kills of processes whose container
//     lived on.
//
// # Guarantees
//
//   - A container's end counts exactly once, by its id, whichever source tells
//     and however often. What is counted is given to the kernel at once (a
//     journal) and is on the disk before a sample tells of it, so that neither
//     kill -9 nor a power cut counts twice, or lets a counter go back. Ends while
//     the agent is away are counted when it is back, as far as the runtime still
//     has the container; one that it has not any more, but that was known to run,
//     counts as ContainerStatusUnknown.
//   - A series begins with a sample of 0 and has its count from the next sample
//     on, one collection_interval later, so that rate() and increase() see the
//     first exit. (A zero sent together with the count would be lost where
//     Prometheus scrapes the aggregator, which shows the last sample only.)
//     What ended before Crowsnest came to the node is no increase: those series
//     begin with their count.
//   - On cgroup v2 no OOM kill is missed: the pod's cgroup keeps the count of
//     containers that are gone. On v1 a container's count goes with it, so if the
//     kernel killed processes in it before, kills in the last second before its
//     end may be missed; its end by an OOM kill never is.
//   - Sizes are bounded: series by max_series (what is over is counted with
//     reason "SeriesLimit" alone), remembered containers by 20,000, an answer of
//     the runtime by 32 MiB, waiting events by 4,096 (then the stream is made
//     anew and the list makes up for it). Series of a pod end retention after the
//     runtime has its last container no more, with a stale marker.
//   - Without directory, counters begin anew with each start of the agent.
//
// # Cost
//
// The socket gives full control of the node's containers; nothing but lists,
// statuses and events is asked for. containerd waits for slow subscribers, so
// events are taken from the stream at once, whatever else goes on. Not needed
// are capabilities; the socket and the cgroups are root's to read.
package terminations
