// Package toolchain builds the programs that tests run as they come from their
// makers: stores, a Kubernetes cluster. Each is pinned by a go.mod of its own
// below test/, for their dependencies conflict, is built once, and is kept in
// the user's cache folder (CROWSNEST_CACHE overrides) under a name that says all
// that it is made from. Long builds show their progress.
package toolchain
