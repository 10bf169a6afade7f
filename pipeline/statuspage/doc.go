// Package statuspage is a small page that tells how Crowsnest does, on the
// aggregator, without Grafana and without asking any store.
//
// It has two components. The processor "statustap" stands in the aggregator's
// pipelines and looks at what passes; the extension "statuspage" serves what
// was seen:
//
//	GET /                 agents and nodes, stores, the ledger, alerts
//	GET /tail             log lines as they pass, filtered
//	GET /api/v1/status    the same as the page, as JSON (type Status);
//	                      ?scope=replica: what this aggregator alone has seen
//	GET /api/v1/tail      Server-Sent Events: "lines", "lost", "state"
//	POST /login, /logout  the token in exchange for a cookie
//
// Source: crowsnest_* of the programs themselves (resources with service.name
// crowsnest-agent and crowsnest-aggregator), kube_node_info, the answers of what
// follows the tap, and log records while somebody tails. With peers, each
// aggregator asks the others, since each sees only the agents that are
// connected to it.
//
// Guarantees: the tap changes nothing, holds nothing up and refuses nothing.
// Everything that is remembered is bounded in bytes; what finds no place is
// counted and the page says so. A reader of a tail that is too slow loses
// lines, which it is told at their place. All text is taken for hostile: it is
// escaped by html/template or set as text by the script, and the pages'
// Content-Security-Policy allows only the style and script that are part of
// this program, and requests to itself.
//
// Access: by default the page listens on loopback, which means kubectl
// port-forward, and answers only to loopback's names (a web page cannot reach
// it by rebinding its own name). Any other address needs token_file, a client
// CA or an authenticator, or the program does not start.
//
// A line may be shown twice: a batch that its store did not take comes again.
//
// Cost: without a tail, under a microsecond and no allocation per batch, besides
// about 20 µs for each scrape of a program's own metrics; about 4 kB per agent.
// A tail costs 0.1 to 0.3 µs per passing record of what it asks for.
package statuspage
