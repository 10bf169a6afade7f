// Command demo shows the whole of Crowsnest on one machine, without Kubernetes:
// a simulated node with a dozen pods, the agent, the aggregator, and the real
// Prometheus, Loki and Jaeger, which are built the first time.
//
//	make demo                            until Ctrl-C
//	DEMO_SECONDS=60 make demo            ends by itself; exit code 0 only if
//	                                     every line, series and trace arrived
//	DEMO_FAULTS=1 DEMO_SECONDS=60 …      kills the agent, Loki and the aggregator
//	                                     on the way
//	DEMO_LINES_PER_SECOND=5000 …         of all containers together; 500 if not set
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/system"
)

const (
	// drainTime is how long what was written last may take to arrive.
	drainTime = 60 * time.Second
	// metricsInterval is short, so that a person sees something move.
	metricsInterval = 5 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// settings of a run, from the environment.
type settings struct {
	length time.Duration // 0 = until interrupted
	faults bool
	rate   float64 // lines per second
}

func readSettings() (settings, error) {
	s := settings{faults: os.Getenv("DEMO_FAULTS") == "1", rate: 500}
	if text := os.Getenv("DEMO_SECONDS"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 || seconds > 24*3600 {
			return s, fmt.Errorf("DEMO_SECONDS is %q; must be a whole number from 1 to 86400", text)
		}
		s.length = time.Duration(seconds) * time.Second
	}
	if text := os.Getenv("DEMO_LINES_PER_SECOND"); text != "" {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || !(rate > 0 && rate <= 100_000) {
			return s, fmt.Errorf("DEMO_LINES_PER_SECOND is %q; must be above 0, at most 100000", text)
		}
		s.rate = rate
	}
	return s, nil
}

func run(ctx context.Context) (err error) {
	set, err := readSettings()
	if err != nil {
		return err
	}
	s, err := system.Start(ctx, system.Options{
		MetricsInterval: metricsInterval,
		Node: nodesim.Config{
			LinesPerSecond: set.rate, TracesPerSecond: 2, Seed: uint64(time.Now().UnixNano()),
			// Small files, so that rotation is part of the show; files enough that
			// the kubelet deletes nothing before a minute's outage is over.
			LogMaxBytes: max(256<<10, int64(set.rate*500)), LogCheckEvery: 2 * time.Second, LogMaxFiles: 12,
			CrashEvery: 30 * time.Second,
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	printGuide(os.Stdout, s)
	if err := watch(ctx, s, set); err != nil || set.length == 0 {
		return err
	}
	return verify(ctx, s)
}

// watch shows the table until the time is over. An interruption ends a demo
// without a length well, and one with a length as a failure.
func watch(ctx context.Context, s *system.System, set settings) error {
	showCtx, stop := context.WithCancel(ctx)
	defer stop()
	if set.length > 0 {
		showCtx, stop = context.WithTimeout(ctx, set.length)
		defer stop()
	}
	table := newTable(os.Stdout, s)
	faults := &schedule{system: s, length: set.length, enabled: set.faults, say: table.say}
	faults.start(showCtx)
	err := table.run(showCtx)
	if faultErr := faults.wait(); faultErr != nil {
		return faultErr
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil && set.length > 0 {
		return errors.New("interrupted before the end")
	}
	return nil
}

func verify(ctx context.Context, s *system.System) error {
	fmt.Printf("\nstopped writing; waiting until all has arrived (%s at most)\n", drainTime)
	s.Node.StopWriting()
	drain, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	report, err := s.Drain(drain)
	fmt.Print("\n", report)
	printLedger(os.Stdout, s)
	if err != nil {
		return err
	}
	if sendErr := s.Node.TraceErrors(); sendErr != nil {
		err = fmt.Errorf("pods cannot send traces: %w", sendErr)
	}
	if !report.Complete() {
		return errors.Join(errors.New("not everything arrived"), err)
	}
	fmt.Println("\nevery line, every container's series and every trace arrived")
	return nil
}
