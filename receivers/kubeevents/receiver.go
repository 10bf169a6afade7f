package kubeevents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/extensions"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// eventReceiver owns the goroutines that watch, send and remember.
type eventReceiver struct {
	cfg       *Config
	set       receiver.Settings
	next      consumer.Logs
	account   *ledger.Account
	telemetry *telemetry
	log       *complaint.Log

	cancel  context.CancelFunc
	running sync.WaitGroup
	client  *http.Client
	base    *url.URL
	leases  coordination.LeaseInterface
}

func newReceiver(cfg *Config, set receiver.Settings, next consumer.Logs) (*eventReceiver, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Logs, set.ID.String())
	if err != nil {
		return nil, err
	}
	t, err := newTelemetry(set.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	return &eventReceiver{cfg: cfg, set: set, next: next, account: account, telemetry: t,
		log: complaint.New(set.Logger, complaint.Interval)}, nil
}

// leader runs f whenever this process is to do what only one may; f's context
// ends when another is to.
type leader interface {
	Lead(ctx context.Context, f func(ctx context.Context))
}

// Start begins to watch. An API server that cannot be reached is no error: it
// may come. Outside a cluster there are no events.
func (r *eventReceiver) Start(_ context.Context, host component.Host) error {
	config, err := kubeapi.ClusterConfig(r.cfg.Kubeconfig)
	switch {
	case errors.Is(err, kubeapi.ErrNotInCluster):
		r.set.Logger.Warn("Not in a cluster: there are no events; set kubeconfig to watch a cluster from outside")
		return nil
	case err != nil && r.cfg.Kubeconfig == "":
		r.set.Logger.Error("No service account to read events with, so none are told; "+
			"set automountServiceAccountToken: true", zap.Error(err))
		return nil
	case err != nil:
		return err
	}
	run, err := r.lead(host)
	if err != nil {
		return err
	}
	if err := r.connect(config); err != nil {
		return err
	}
	// Watching outlives the context of Start, which ends with it.
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.running.Go(func() { run(ctx) })
	return nil
}

// connect makes the clients; nothing is asked yet.
func (r *eventReceiver) connect(config *rest.Config) (err error) {
	config.UserAgent = r.set.BuildInfo.Command + "/" + r.set.BuildInfo.Version
	if r.client, r.base, err = kubeapi.Connect(config); err != nil {
		return err
	}
	if r.cfg.Lease == "" {
		return nil
	}
	client, err := coordination.NewForConfigAndClient(config, r.client)
	if err != nil {
		return fmt.Errorf("make client of leases: %w", err)
	}
	r.leases = client.Leases(r.cfg.Namespace)
	return nil
}

// lead gives what to run: the watch itself, or the leader's loop around it.
func (r *eventReceiver) lead(host component.Host) (func(context.Context), error) {
	if r.cfg.Leader == nil {
		return r.run, nil
	}
	l, err := extensions.Find[leader](host, "leader", *r.cfg.Leader, "leader")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) { l.Lead(ctx, r.run) }, nil
}

// run watches and sends until ctx ends, and leaves word of how far it came to
// whoever leads next.
func (r *eventReceiver) run(ctx context.Context) {
	defer r.client.CloseIdleConnections()
	kept := &progress{leases: r.leases, name: r.cfg.Lease, log: r.log}
	known := kept.load(ctx)
	if ctx.Err() != nil {
		return
	}
	q := newQueue()
	send := &sender{next: r.next, queue: q, telemetry: r.telemetry, log: r.log}
	watch := &watcher{ctx: ctx, queue: q, account: r.account, telemetry: r.telemetry, log: r.log, taken: known}
	reader := kubeapi.Reader{
		Client: r.client,
		// The core group's events: the form in which etcd has them, with the
		// fields of old senders and of new ones.
		URL:      r.base.JoinPath("api/v1/events").String(),
		Resource: "events",
		Paged:    true,
		Handler:  watch,
	}
	var sending, saving sync.WaitGroup
	sending.Go(func() { send.run(ctx) })
	saving.Go(func() { kept.run(ctx, send.sent.Load) })
	reader.Run(ctx)
	sending.Wait()
	saving.Wait()
	kept.save(context.WithoutCancel(ctx), send.sent.Load())
}

// Shutdown breaks off what is in flight and waits for its end.
func (r *eventReceiver) Shutdown(context.Context) error {
	if r.cancel != nil {
		r.cancel()
	}
	r.running.Wait()
	return nil
}
