package cri

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/crowsnest-o11y/crowsnest/cadence"
	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// criReceiver owns the goroutine of the scraper.
type criReceiver struct {
	scraper *scraper

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newReceiver(cfg *Config, set receiver.Settings, next consumer.Metrics) (*criReceiver, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Metrics, set.ID.String())
	if err != nil {
		return nil, err
	}
	t, err := newTelemetry(set.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	return &criReceiver{scraper: &scraper{
		cfg: cfg, page: newPage(cfg.MaxSeries), next: next, account: account, telemetry: t,
		complaints: complaint.New(set.Logger, complaint.Interval),
	}}, nil
}

// Start begins to scrape, first up to one interval later. A runtime that cannot
// be reached is no error: it may come.
func (r *criReceiver) Start(context.Context, component.Host) error {
	runtime, err := newRuntime(r.scraper.cfg.Endpoint)
	if err != nil {
		return err
	}
	r.scraper.runtime = runtime
	// The context of Start ends with it; scrapes last until Shutdown.
	scraping, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	times := cadence.Of(r.scraper.cfg.Instance, r.scraper.cfg.CollectionInterval)
	r.running.Go(func() { times.Run(scraping, r.scraper.scrape) })
	return nil
}

// Shutdown breaks off a scrape in flight and waits for its end.
func (r *criReceiver) Shutdown(context.Context) error {
	if r.cancel == nil {
		return nil
	}
	r.cancel()
	r.running.Wait()
	r.cancel = nil
	return r.scraper.runtime.conn.Close()
}
