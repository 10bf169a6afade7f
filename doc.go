// Package crowsnest is the root of the module; it holds no code, only the
// tests that keep the tree's rules (repo_test.go). pipeline/doc.go is the map
// of the system.
package crowsnest
