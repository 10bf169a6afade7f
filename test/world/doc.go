// Package world makes up a cluster in which everything happens that dashboards
// tell of, good and bad at once, for a real Prometheus to scrape. Its page has a
// series for every selector of every expression that it is given; objects have
// the same names in all of them, so that joins find their partner.
package world
