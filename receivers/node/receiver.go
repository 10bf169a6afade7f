package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/cadence"
	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// nodeReceiver owns the goroutine that collects, and one more for each
// collector while it runs.
type nodeReceiver struct {
	cfg        *Config
	logger     *zap.Logger
	next       consumer.Metrics
	account    *ledger.Account
	telemetry  *telemetry
	complaints *complaint.Log

	probes   []*probe
	replay   replay // of the collection in progress
	registry *prometheus.Registry
	book     *book
	host     *hostProc // nil where proc itself will do

	cancel    context.CancelFunc
	running   sync.WaitGroup // the goroutine that collects
	executing sync.WaitGroup // the collectors
}

func newReceiver(cfg *Config, set receiver.Settings, next consumer.Metrics) (*nodeReceiver, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Metrics, set.ID.String())
	if err != nil {
		return nil, err
	}
	t, err := newTelemetry(set.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	r := &nodeReceiver{cfg: cfg, logger: set.Logger, next: next, account: account, telemetry: t,
		complaints: complaint.New(set.Logger, complaint.Interval), registry: prometheus.NewRegistry(), book: newBook(cfg.MaxSeries)}
	if err := r.registry.Register(&r.replay); err != nil {
		return nil, fmt.Errorf("make registry: %w", err)
	}
	return r, nil
}

// Start begins to collect, first at the node's phase, so up to one interval
// later. A file that is not there is no error: it may come.
func (r *nodeReceiver) Start(context.Context, component.Host) error {
	proc := r.cfg.proc()
	if foreignNetwork(proc) {
		r.host = &hostProc{directory: r.cfg.directory(), proc: proc}
		proc = r.host.directory
		r.logger.Info("Host's network is another than this process's; reading it from process 1 of the host's proc",
			zap.String("proc", r.cfg.proc()), zap.String("directory", proc))
	}
	if err := configure(r.cfg.arguments(proc, r.host != nil)); err != nil {
		return err
	}
	for _, name := range r.cfg.Collectors.enabled() {
		r.probes = append(r.probes, r.probe(name))
	}
	// The context of Start ends with it; collections last until Shutdown.
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.running.Go(func() { cadence.Of(r.cfg.Node, r.cfg.CollectionInterval).Run(ctx, r.collect) })
	return nil
}

// directory is where links to the host's proc go. It is the same after a
// restart, so that the links are found and do not heap up.
func (c *Config) directory() string {
	if c.Directory != "" {
		return filepath.Join(c.Directory, "proc")
	}
	return filepath.Join(os.TempDir(), "crowsnest-node", "proc")
}

func (r *nodeReceiver) probe(name string) *probe {
	return newProbe(name, slog.New(bridge{r.logger, r.complaints, name}))
}

// patience is how long Shutdown waits for a collector. One that hangs in the
// kernel cannot be stopped.
const patience = 2 * time.Second

// Shutdown breaks off a collection in progress and waits for its collectors.
func (r *nodeReceiver) Shutdown(ctx context.Context) error {
	if r.cancel != nil {
		r.cancel()
	}
	r.running.Wait()
	ended := make(chan struct{})
	go func() {
		r.executing.Wait()
		close(ended)
	}()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-ended:
		return nil
	case <-limit.C:
	case <-ctx.Done():
	}
	r.logger.Warn("Collectors hang and are left to the end of the process", zap.Strings("collectors", r.busy()))
	return nil
}

func (r *nodeReceiver) busy() (names []string) {
	for _, p := range r.probes {
		if !p.idle() {
			names = append(names, p.name)
		}
	}
	return names
}
