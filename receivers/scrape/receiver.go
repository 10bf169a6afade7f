package scrape

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/extensions"
	"github.com/crowsnest-o11y/crowsnest/kubemeta"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// lookInterval is how often the pods are looked through for changes.
const lookInterval = time.Second

// retryLooks is after how many looks a job that could not be opened is tried again.
const retryLooks = 60

// scrapeReceiver finds targets and keeps a scraper for each.
type scrapeReceiver struct {
	cfg        *Config
	settings   receiver.Settings
	env        *environment
	complaints *complaint.Log

	cache    *kubemeta.Cache // nil without pods
	leader   leader          // nil: always leads
	cluster  *cluster        // nil without an API server
	monitors *monitors       // nil without
	apis     *apiServers     // nil without

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// leader is the extension that says whether this process leads.
type leader interface {
	Lead(ctx context.Context, f func(ctx context.Context))
}

func newReceiver(cfg *Config, set receiver.Settings, next consumer.Metrics) (*scrapeReceiver, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Metrics, set.ID.String())
	if err != nil {
		return nil, err
	}
	env := &environment{
		next:    next,
		account: account,
		logger:  set.Logger,
		bodies:  &budget{limit: cfg.MaxPageBytes},
		series:  &budget{limit: cfg.MaxCacheBytes},
	}
	if env.telemetry, err = newTelemetry(set.MeterProvider, set.ID.String(), env.series); err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	return &scrapeReceiver{cfg: cfg, settings: set, env: env, complaints: complaint.New(set.Logger, complaint.Interval)}, nil
}

// Start begins to find targets and to scrape them. One that cannot be reached
// is no error: it may come.
func (r *scrapeReceiver) Start(_ context.Context, host component.Host) error {
	if err := r.find(host); err != nil {
		return err
	}
	if err := r.connect(); err != nil {
		return err
	}
	// Scraping outlives the context of Start, which ends with it.
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if r.monitors != nil {
		r.running.Go(func() { r.monitors.run(ctx) })
	}
	if r.apis != nil {
		r.running.Go(func() { r.lead(ctx, r.apis.run) })
	}
	r.running.Go(func() { r.run(ctx) })
	return nil
}

// find looks the extensions up.
func (r *scrapeReceiver) find(host component.Host) error {
	if r.cfg.Pods != nil {
		pods, err := extensions.Find[interface{ Cache() *kubemeta.Cache }](host, "pods", *r.cfg.Pods, "kubepods")
		if err != nil {
			return err
		}
		r.cache = pods.Cache()
	}
	if r.cfg.Leader != nil {
		found, err := extensions.Find[leader](host, "leader", *r.cfg.Leader, "leader")
		if err != nil {
			return err
		}
		r.leader = found
	}
	return nil
}

func (r *scrapeReceiver) lead(ctx context.Context, f func(context.Context)) {
	if r.leader == nil {
		f(ctx)
		return
	}
	r.leader.Lead(ctx, f)
}

// Shutdown breaks off scrapes in flight and waits for their end.
func (r *scrapeReceiver) Shutdown(context.Context) error {
	if r.cancel != nil {
		r.cancel()
	}
	r.running.Wait()
	if r.cluster != nil {
		r.cluster.close()
	}
	return r.env.telemetry.stop()
}

// run keeps the targets up to date until ctx ends.
func (r *scrapeReceiver) run(ctx context.Context) {
	p := newPool(r.env)
	defer p.stop()
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	static := r.staticTargets()
	var last view
	for n := 0; ; n++ {
		again := n%retryLooks == 0 && !p.complete()
		if now := r.look(); n == 0 || again || !now.equal(last) {
			if !slices.Equal(now.pods, last.pods) {
				r.monitors.moved()
			}
			p.sync(ctx, slices.Concat(static, r.podTargets(now.pods), r.apis.targets()))
			last = now
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// view is what targets are made of.
type view struct {
	pods     []*kubemeta.Pod // by uid; a pod's pointer stands for its version
	monitors uint64
	apis     uint64
}

func (v view) equal(o view) bool {
	return v.monitors == o.monitors && v.apis == o.apis && slices.Equal(v.pods, o.pods)
}

func (r *scrapeReceiver) look() view {
	v := view{monitors: r.monitors.version(), apis: r.apis.version()}
	if r.cache != nil {
		v.pods = r.cache.Pods()
		slices.SortFunc(v.pods, func(a, b *kubemeta.Pod) int { return strings.Compare(a.UID, b.UID) })
	}
	return v
}

// podTargets are the pods' targets by all ways.
func (r *scrapeReceiver) podTargets(pods []*kubemeta.Pod) []*target {
	var all []*target
	for _, p := range pods {
		if c, ok := componentOf(p); ok && r.cfg.ControlPlane && canBeScraped(p) {
			t, err := r.componentTarget(c, p)
			if err != nil {
				r.refuse(r.job("control_plane/"+c.job, sourceControlPlane), "address", err, podFields(p)...)
				continue
			}
			all = append(all, t)
			continue
		}
		if r.cfg.Annotations {
			all = append(all, r.annotatedTargets(p)...)
		}
	}
	return append(all, r.monitors.targets(pods)...)
}

// refuse counts a target that cannot be, and says why.
func (r *scrapeReceiver) refuse(j *job, reason string, err error, fields ...zap.Field) {
	r.env.telemetry.refuse(j.source, reason, 1)
	r.complaints.Warn("target/"+j.id+"/"+err.Error(), "Target is not scraped", append(fields, zap.String("job", j.id), zap.Error(err))...)
}
