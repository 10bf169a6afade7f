// Package kubeevents is the receiver "kubeevents": Kubernetes events as log
// records. The leader's, since events are the cluster's and not a node's.
//
// # What becomes of an event
//
// Each occurrence is a record: when an event is created, and when its sender
// counts one more. Its line is for people, "BackOff Pod shop/web-0: Back-off
// restarting failed container (x4)"; its time is the occurrence's, by whichever
// field the sender uses (series.lastObservedTime, lastTimestamp, eventTime); its
// severity INFO for Normal and WARN for Warning. Attributes:
//
//	resource  service.name = kubernetes-events, k8s.namespace.name of the object
//	          (none for those of the cluster, such as nodes)
//	record    k8s.event.reason, action, name, uid, count, start_time,
//	          reporting_controller; k8s.object.kind, name, uid, api_version,
//	          fieldpath; k8s.node.name: the node that it is about or comes from
//
// In Loki each namespace has one stream of events, and what names the object is
// structured metadata: whoever may create events names objects as they like, so
// as labels these would be streams without a bound, and a few lines each.
//
//	{service_name="kubernetes-events", namespace="shop"} | k8s_object_kind="Pod" | k8s_object_name="web-0"
//	{service_name="kubernetes-events"} | severity="WARN" | k8s_node_name="node-1"
//
// # Guarantees
//
//   - Events are handed to the pipeline one batch after the other, and one that it
//     does not take (Loki is away) is tried until it does. Meanwhile up to 32 MiB
//     of events are read on; further ones stay with the API server, which keeps
//     events for an hour.
//   - A Lease remembers, every five seconds and at the end of leading, the version
//     up to which the pipeline took everything. After a restart, a kill -9, a
//     new leader, a watch that expired (410) or an API server that restarted,
//     what is newer is listed and sent, in the order of time.
//   - What was sent and not yet remembered is sent again, equal in stream, time,
//     line and metadata: nothing in it depends on who sends it or when, so Loki
//     drops it.
//   - An API server that is behind what was sent (etcd was restored or made
//     anew) is taken for a new one: all its events are sent.
//   - A time that is far from what the API server knows of the event, and texts
//     over 512 bytes (messages: 16 KiB), are replaced or cut, and counted.
//
// What nobody can see is lost: of several occurrences while nothing watched, the
// API server has the last with their number; and it forgets events after an hour.
// Events that are deleted tell nothing new.
//
// # Permissions
//
// list and watch on events; get, create and update on the Lease.
//
// # Cost
//
// 3 µs of CPU and 2.4 kB of garbage per event until it is a record (BenchmarkEvent). Memory: what one
// page's object needs, and 32 MiB at most.
package kubeevents
