// Command crowsnest-aggregator takes what the agents send and exports it to
// Prometheus, Loki and Jaeger.
package main

import (
	"context"
	"os"

	"github.com/crowsnest-o11y/crowsnest/pipeline/aggregator"
)

// SIGINT and SIGTERM are handled by the collector, which drains before it ends.
func main() {
	os.Exit(aggregator.Program().Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
