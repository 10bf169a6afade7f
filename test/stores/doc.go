// Package stores runs the real Prometheus, Loki and Jaeger for tests and for the
// demo, as they come from their makers: each is built once from a module beside
// this file (prometheus/go.mod, …) that pins it, and kept in the user's cache
// folder (CROWSNEST_CACHE overrides). Building all three takes ten to thirty
// minutes on two cores the first time and shows its progress; after that a start
// takes about a second.
//
// They listen on free loopback ports and keep their data in a folder that
// survives Kill and Restart (except Jaeger, whose store is memory). They end
// with the test, also when the test is killed.
//
// `go run ./test/stores/build` builds them ahead of time.
package stores
