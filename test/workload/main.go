// Command workload is what runs in the pods of the tests on a real cluster: one
// static program that logs, crashes, eats memory, is not ready, or is a link of
// a chain of services that send traces, as its first argument says.
//
// Its lines are those of nodesim, so that nodesim.Seen accounts for them: every
// one carries a stream, a number without gaps from 1 and a checksum. A stream is
// one run of one container: "<host name>-<start in hex>".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// exit ends the program with a code that the test asked for.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d, as asked for", int(e)) }

// mode runs until it is done or ctx ends.
type mode func(ctx context.Context, flags *flag.FlagSet, args []string) error

var modes = map[string]mode{
	"log":    runLog,
	"oom":    runOOM,
	"sleep":  runSleep,
	"http":   runHTTP,
	"chain":  runChain,
	"volume": runVolume,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 || modes[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "workload: want a mode: %s\n", strings.Join(slices.Sorted(maps.Keys(modes)), ", "))
		os.Exit(2)
	}
	err := modes[os.Args[1]](ctx, flag.NewFlagSet(os.Args[1], flag.ExitOnError), os.Args[2:])
	var code exit
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil && ctx.Err() == nil:
		fmt.Fprintf(os.Stderr, "workload: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// runSleep is the pod of which nothing is to be seen but that it is there.
func runSleep(ctx context.Context, flags *flag.FlagSet, args []string) error {
	flags.Parse(args)
	<-ctx.Done()
	return nil
}
