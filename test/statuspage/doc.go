// Package statuspage tests the aggregator's status page in a real Chromium, on
// the real agent, aggregator and stores. With -update it takes the pictures in
// docs/images anew.
package statuspage
