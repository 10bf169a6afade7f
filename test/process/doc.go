// Package process runs a real program as a child of a test: it waits until the
// program is ready, keeps its output in a file, and can kill, pause and restart
// it. A child never outlives the test, however the test ends.
package process
