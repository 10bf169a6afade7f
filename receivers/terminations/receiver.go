package terminations

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// terminationsReceiver owns the goroutine of the counter and that of the stream.
type terminationsReceiver struct {
	counter *counter

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newReceiver(cfg *Config, set receiver.Settings, next consumer.Metrics) (*terminationsReceiver, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Metrics, set.ID.String())
	if err != nil {
		return nil, err
	}
	t, err := newTelemetry(set.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	return &terminationsReceiver{counter: &counter{
		cfg: cfg, next: next, account: account, telemetry: t,
		logger: set.Logger, complaints: complaint.New(set.Logger, complaint.Interval),
		tally:   newTally(cfg.MaxSeries, maxContainers),
		journal: &journal{directory: cfg.Directory},
		pending: map[string]*pending{},
	}}, nil
}

// Start reads the state back and begins to count. A runtime that cannot be
// reached is no error: it may come.
func (r *terminationsReceiver) Start(context.Context, component.Host) error {
	runtime, err := newRuntime(r.counter.cfg.Endpoint)
	if err != nil {
		return err
	}
	r.counter.runtime = runtime
	if err := r.counter.open(); err != nil {
		return err
	}
	// The context of Start ends with it; counting lasts until Shutdown.
	counting, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	events := make(chan event, eventQueue)
	r.running.Go(func() { runtime.stream(counting, events, r.counter.telemetry, r.counter.complaints) })
	r.running.Go(func() { r.counter.run(counting, events) })
	return nil
}

// Shutdown sends the counters once more and waits for that.
func (r *terminationsReceiver) Shutdown(ctx context.Context) error {
	if r.cancel == nil {
		return nil
	}
	r.cancel()
	r.running.Wait()
	r.cancel = nil
	return r.counter.close(ctx)
}
