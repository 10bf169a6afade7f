// Command crowsnest-agent runs on every node: it gathers the node's logs,
// metrics and traces and forwards them to crowsnest-aggregator.
package main

import (
	"context"
	"os"

	"github.com/crowsnest-o11y/crowsnest/pipeline/agent"
)

// SIGINT and SIGTERM are handled by the collector, which drains before it ends.
func main() {
	os.Exit(agent.Program().Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
