// Package rendezvous is the extension "rendezvous": it decides which of several
// servers behind one name a gRPC exporter talks to. Exporters name it in their
// middlewares:
//
//	extensions:
//	  rendezvous:
//	    node: ${env:K8S_NODE_NAME:-}
//	exporters:
//	  otlp_grpc/aggregator:
//	    endpoint: crowsnest-aggregator-headless.monitoring.svc:4317
//	    middlewares: [{id: rendezvous}]
//
// # Which server
//
// For each connection the name is looked up anew, and the addresses are tried one
// after the other in the order of a hash of node and address (rendezvous hashing):
// all connections of a node lead to the same server, those of different nodes are
// spread evenly, and a server that comes or goes moves only the nodes that are its
// own. An address that refuses is passed over at once, one that does not answer
// after two seconds, and one that took the last connection but not its TLS
// handshake comes last. Servers end connections from time to time, and so get the
// nodes that are theirs.
//
// Between connections gRPC waits 5 s at most, and an attempt ends after 10 s; gRPC
// alone would wait two minutes, try a dead address for 20 s, and look a name up
// again 30 s after the last time at the earliest. That is why this dials and no
// resolver or balancer does.
//
// # Staying with a server
//
// With file, the server that took the last request with metrics comes first as
// long as it is there, also after a restart, and also if another one would be the
// node's own. This is for servers that show metrics on a page of their own: a
// series that moves while both servers live is on two pages until the first
// forgets it. The price: a server that is added gets only nodes that lost theirs.
// The file holds one address; without it, or if it cannot be read or written (a
// warning says so), the order is that of the hash.
//
// # What stays as it is
//
// A name with one address, an address, a Unix socket and HTTPS_PROXY work as
// without this: a proxy looks names up itself. TLS verifies the name of the
// endpoint, or server_name_override, whatever address it has.
//
// # Cost
//
// A look-up for each connection; nothing for a request. It starts no goroutine.
package rendezvous
