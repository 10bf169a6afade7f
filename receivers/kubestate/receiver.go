package kubestate

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

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/extensions"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// stateReceiver owns one goroutine per kind and one that sends.
type stateReceiver struct {
	cfg       *Config
	set       receiver.Settings
	next      consumer.Metrics
	account   *ledger.Account
	telemetry *telemetry

	cancel  context.CancelFunc
	running sync.WaitGroup
	client  *http.Client
	base    *url.URL
}

func newReceiver(cfg *Config, set receiver.Settings, next consumer.Metrics) (*stateReceiver, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Metrics, set.ID.String())
	if err != nil {
		return nil, err
	}
	t, err := newTelemetry(set.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	return &stateReceiver{cfg: cfg, set: set, next: next, account: account, telemetry: t}, nil
}

// leader runs f whenever this process is to do what only one may; f's context
// ends when another is to.
type leader interface {
	Lead(ctx context.Context, f func(ctx context.Context))
}

// Start begins to watch. An API server that cannot be reached is no error: it
// may come. Outside a cluster there is nothing to tell.
func (r *stateReceiver) Start(_ context.Context, host component.Host) error {
	config, err := kubeapi.ClusterConfig(r.cfg.Kubeconfig)
	switch {
	case errors.Is(err, kubeapi.ErrNotInCluster):
		r.set.Logger.Warn("Not in a cluster: there is no cluster state to tell; set kubeconfig to watch a cluster from outside")
		return nil
	case err != nil && r.cfg.Kubeconfig == "":
		r.set.Logger.Error("No service account to read cluster state with, so none is told; "+
			"set automountServiceAccountToken: true", zap.Error(err))
		return nil
	case err != nil:
		return err
	case r.cfg.Scope == scopeNode && r.cfg.Node == "":
		return errors.New("node: is empty, must be this node's name: set K8S_NODE_NAME from the pod's spec.nodeName")
	}
	run, err := r.lead(host)
	if err != nil {
		return err
	}
	config.UserAgent = r.set.BuildInfo.Command + "/" + r.set.BuildInfo.Version
	if r.client, r.base, err = kubeapi.Connect(config); err != nil {
		return err
	}
	// Watching outlives the context of Start, which ends with it.
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.running.Go(func() { run(ctx) })
	return nil
}

// lead gives what to run: the watch itself, or the leader's loop around it.
func (r *stateReceiver) lead(host component.Host) (func(context.Context), error) {
	if r.cfg.Leader == nil {
		return r.run, nil
	}
	l, err := extensions.Find[leader](host, "leader", *r.cfg.Leader, "leader")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) { l.Lead(ctx, r.run) }, nil
}

// run watches and sends until ctx ends, and forgets everything then: whoever
// leads next begins with fresh lists.
func (r *stateReceiver) run(ctx context.Context) {
	var wg, listed sync.WaitGroup
	defer r.client.CloseIdleConnections()
	budget := &budget{max: r.cfg.MaxBytes}
	send := &sender{next: r.next, account: r.account, telemetry: r.telemetry, complaints: complaint.New(r.set.Logger, complaint.Interval)}
	var counts []*selfCounts
	for _, k := range r.cfg.kinds() {
		w := r.watcher(k, budget)
		w.waiting = &listed
		listed.Add(1)
		send.stores = append(send.stores, w.store)
		counts = append(counts, w.report.self)
		wg.Go(func() { w.run(ctx) })
	}
	if custom := r.cfg.CustomResourceState.Spec.Resources; len(custom) > 0 {
		shared := &selfCounts{goType: "*unstructured.Unstructured"}
		counts = append(counts, shared)
		wg.Go(func() { r.watchCustom(ctx, &wg, send, budget, shared) })
	}
	if r.cfg.Scope != scopeNode {
		send.self = newSelfReport(counts)
	}
	wg.Go(func() { send.run(ctx, r.cfg.CollectionInterval, &listed) })
	<-ctx.Done()
	wg.Wait()
	r.telemetry.forget(send.stores)
}

// watchCustom watches the custom resources of the configuration that the API
// server has, and those that it gets. counts are of all of them.
func (r *stateReceiver) watchCustom(ctx context.Context, running *sync.WaitGroup, send *sender, b *budget, counts *selfCounts) {
	d := &discovery{client: r.client, base: r.base, resources: r.cfg.CustomResourceState.Spec.Resources,
		known: map[customResource]bool{}}
	report := newReport(r.telemetry, &kind{resource: "customresources"}, r.set.Logger, counts)
	for {
		found, err := d.find(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			report.bad(err)
		default:
			report.good()
		}
		for _, k := range found {
			w := r.watcher(k, b)
			w.report.self = counts
			w.waiting = new(sync.WaitGroup) // nobody waits: passes have begun
			w.waiting.Add(1)
			w.writer.complain = w.report.unreadable
			send.add(w.store)
			running.Go(func() { w.run(ctx) })
		}
		if !kubeapi.Pause(ctx, kubeapi.Spread(discoveryInterval)) {
			return
		}
	}
}

func (r *stateReceiver) watcher(k *kind, b *budget) *watcher {
	selector := r.cfg.selector(k)
	w := &watcher{
		kind: k,
		reader: kubeapi.Reader{
			Client:   r.client,
			URL:      r.base.JoinPath(k.path).String(),
			Resource: k.resource,
			Selector: selector,
			Encoding: k.encoding,
			Paged:    selector == "",
		},
		store:  newStore(k, b),
		report: newReport(r.telemetry, k, r.set.Logger, &selfCounts{goType: k.goType}),
	}
	w.writer.allow = allowed{
		labels:      allowList(r.cfg.MetricLabelsAllowlist).of(k.resource),
		annotations: allowList(r.cfg.MetricAnnotationsAllowlist).of(k.resource),
	}
	return w
}

// Shutdown breaks off what is in flight and waits for its end.
func (r *stateReceiver) Shutdown(context.Context) error {
	if r.cancel != nil {
		r.cancel()
	}
	r.running.Wait()
	return nil
}
