package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// candidate is the extension.
type candidate struct {
	*office
	set       extension.Settings
	cfg       *Config
	telemetry *telemetry

	renewed chan time.Time // when requests began that took or renewed the lease
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

func newCandidate(set extension.Settings, cfg *Config) (*candidate, error) {
	t, err := newTelemetry(set.MeterProvider, set.ID.String())
	if err != nil {
		return nil, err
	}
	return &candidate{office: newOffice(), set: set, cfg: cfg, telemetry: t, renewed: make(chan time.Time)}, nil
}

// Start begins to run for leader and returns at once.
func (c *candidate) Start(context.Context, component.Host) error {
	// The candidacy outlives the context of Start, which ends with it.
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	if c.cfg.Lease == "" {
		c.lead(ctx)
		return nil
	}
	config, err := kubeapi.ClusterConfig(c.cfg.Kubeconfig)
	if errors.Is(err, kubeapi.ErrNotInCluster) {
		c.set.Logger.Warn("Not in a cluster: this process leads without a lease; set lease to the empty text to silence this, or kubeconfig to use a cluster from outside")
		c.lead(ctx)
		return nil
	}
	if err != nil {
		return err
	}
	election, err := c.election(config)
	if err != nil {
		return err
	}
	c.wg.Go(func() { c.run(ctx, election) })
	return nil
}

// election is how the lease is taken and held.
func (c *candidate) election(config *rest.Config) (leaderelection.LeaderElectionConfig, error) {
	namespace, err1 := c.cfg.namespace()
	identity, err2 := c.cfg.identity()
	if err := errors.Join(err1, err2); err != nil {
		return leaderelection.LeaderElectionConfig{}, err
	}
	config = rest.CopyConfig(config)
	config.UserAgent = c.set.BuildInfo.Command + "/" + c.set.BuildInfo.Version
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, c.cfg.Lease,
		resourcelock.ResourceLockConfig{Identity: identity}, config, c.cfg.renewDeadline())
	if err != nil {
		return leaderelection.LeaderElectionConfig{}, fmt.Errorf("make lock on lease %s/%s: %w", namespace, c.cfg.Lease, err)
	}
	election := leaderelection.LeaderElectionConfig{
		Name:            c.cfg.Lease,
		Lock:            &watchedLock{Interface: lock, candidate: c, complaints: complaint.New(c.set.Logger, complaint.Interval)},
		LeaseDuration:   c.cfg.LeaseDuration,
		RenewDeadline:   c.cfg.renewDeadline(),
		RetryPeriod:     c.cfg.retryPeriod(),
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: c.lead,
			OnStoppedLeading: c.stop,
		},
	}
	if _, err := leaderelection.NewLeaderElector(election); err != nil {
		return election, fmt.Errorf("check election: %w", err)
	}
	return election, nil
}

// run stands for election until ctx ends.
func (c *candidate) run(ctx context.Context, election leaderelection.LeaderElectionConfig) {
	for ctx.Err() == nil {
		c.runOnce(ctx, election)
	}
}

// runOnce stands until leadership was won and lost, or ctx ends.
func (c *candidate) runOnce(ctx context.Context, election leaderelection.LeaderElectionConfig) {
	ctx, cancel := context.WithCancel(quiet(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	elector, err := leaderelection.NewLeaderElector(election)
	if err != nil { // it was checked
		c.set.Logger.Error("Election cannot be held; this process never leads", zap.Error(err))
		<-ctx.Done()
		return
	}
	wg.Go(func() { c.guard(ctx, cancel) })
	elector.Run(ctx)
}

// guard ends the term, and then the candidacy, renewDeadline after the begin of
// the last request that renewed the lease. The elector itself would let the work
// go on while it retries once more and tries to give the lease back, which can
// take until after another one leads.
func (c *candidate) guard(ctx context.Context, cancel context.CancelFunc) {
	late := time.NewTimer(time.Hour)
	late.Stop()
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-c.renewed:
			late.Reset(time.Until(at.Add(c.cfg.renewDeadline())))
		case <-late.C:
			c.stop()
			cancel()
			return
		}
	}
}

// lead begins a term.
func (c *candidate) lead(ctx context.Context) {
	if c.begin(ctx) {
		c.telemetry.leading(true)
		c.set.Logger.Info("This process leads", zap.String("lease", c.cfg.Lease))
	}
}

// stop ends a term, if there is one, and waits for the end of what ran in it.
func (c *candidate) stop() {
	began := time.Now()
	if c.end() {
		c.telemetry.leading(false)
		c.set.Logger.Info("This process no longer leads", zap.String("lease", c.cfg.Lease), zap.Duration("ended_in", time.Since(began)))
	}
}

// Shutdown ends what runs as leader and then gives the lease back.
func (c *candidate) Shutdown(context.Context) error {
	if c.cancel == nil {
		return nil
	}
	c.close()
	c.telemetry.leading(false)
	c.cancel()
	c.wg.Wait()
	return nil
}
