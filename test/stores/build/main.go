// Command build builds the stores that tests and the demo run, ahead of time.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := stores.BuildAll(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "stores: Prometheus, Loki and Jaeger are built")
}
