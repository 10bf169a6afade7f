package terminations

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const (
	// maxContainers bounds the containers that are remembered: those that the
	// runtime has, and those gone in the last minutes.
	maxContainers = 20_000
	// killsInterval is how often the kernel's counts of OOM kills are read. A
	// count is gone with its cgroup, so not only once per sample.
	killsInterval = time.Second
	// patience is how many lists in a row must lack a container that ran before
	// it counts as ended unseen: the event that tells may be under way.
	patience = 2
)

// reasonRefused is for points that the pipeline did not take.
const reasonRefused = "refused"

// counter brings news of containers to the tally, and the tally to the
// pipeline. Of one goroutine.
type counter struct {
	cfg        *Config
	runtime    *runtime
	kernel     *kernel // nil: not wanted, or not to be had
	tally      *tally
	journal    *journal
	next       consumer.Metrics
	account    *ledger.Account
	telemetry  *telemetry
	logger     *zap.Logger
	complaints *complaint.Log

	// fresh: no list was read since Crowsnest came to the node; what that list
	// has ended before anybody counted.
	fresh bool
	// pending are containers that were created: of a start that fails there is
	// no event.
	pending map[string]*pending
}

// open takes over what earlier runs counted. State that cannot be used costs
// counts, not the program.
func (c *counter) open() error {
	found, err := c.journal.open(c.tally, time.Now())
	c.fresh = !found
	if err != nil {
		c.telemetry.failed("state")
		c.logger.Warn("State of terminations could not be read whole; counters go on from what could be read, and containers that the runtime still has may be counted again", zap.Error(err))
	}
	c.persist(c.journal.compact)
	if c.kernel, err = newKernel(c.cfg.CgroupRoot); err != nil {
		c.telemetry.failed("cgroups")
		c.logger.Warn("Cgroups cannot be read; OOM kills are counted only where they ended a container", zap.Error(err))
	}
	return nil
}

func (c *counter) run(ctx context.Context, events <-chan event) {
	kills := time.NewTicker(killsInterval)
	defer kills.Stop()
	samples := time.NewTicker(c.cfg.CollectionInterval)
	defer samples.Stop()
	c.reconcile(ctx)
	for {
		select {
		case <-ctx.Done():
			c.drain(events)
			return
		case e := <-events:
			c.take(ctx, e)
		case <-kills.C:
			c.readKills()
			if len(events) == 0 { // else there may be news of those
				c.checkPending(ctx)
			}
		case <-samples.C:
			c.reconcile(ctx)
			c.readKills()
			c.sample(ctx)
		}
	}
}

// drain counts what the stream brought before it ended.
func (c *counter) drain(events <-chan event) {
	for {
		select {
		case e := <-events:
			if e.record.Kind != "" {
				c.learn(e.record, "event")
			}
			for _, r := range e.unstarted {
				c.learn(r, "event")
			}
		default:
			return
		}
	}
}

// close keeps everything and sends what was counted since the last sample.
func (c *counter) close(ctx context.Context) error {
	c.persist(c.journal.compact)
	c.send(ctx, c.tally.metrics(c.cfg.Node, time.Now()))
	return errors.Join(c.journal.close(), c.runtime.close())
}

// note makes a change and keeps it.
func (c *counter) note(r record) (changed bool) {
	if !c.tally.apply(r) {
		return false
	}
	c.persist(func(*tally) error { return c.journal.append(r) })
	return true
}

func (c *counter) persist(write func(*tally) error) {
	if err := write(c.tally); err != nil {
		c.complain("state", "State of terminations cannot be written; counts would be lost with the agent until it can", err)
		return
	}
	c.complaints.Over("state", "State of terminations can be written again")
}

func (c *counter) complain(operation, message string, err error) {
	c.telemetry.failed(operation)
	c.complaints.Warn(operation, message, zap.Error(err))
}

// take counts what an event tells.
func (c *counter) take(ctx context.Context, e event) {
	for _, r := range e.unstarted {
		c.learn(r, "event")
	}
	delete(c.pending, e.id)
	known := c.tally.Containers[e.id]
	if e.created && known == nil && len(c.pending) < maxPending {
		c.pending[e.id] = &pending{who: e.who, since: time.Now()}
	}
	if e.stopped && e.record.Kind != kindExited && (known == nil || !known.Exited) {
		e.record = c.inquire(ctx, e)
	}
	if e.record.Kind != "" {
		c.learn(e.record, "event")
	}
	if c.kernel != nil && e.record.Kind == kindRunning {
		c.kernel.locate(e.id, e.record.UID)
	}
}

// learn notes that a container runs or ended.
func (c *counter) learn(r record, source string) {
	if !c.note(r) || r.Kind != kindExited {
		return
	}
	c.telemetry.exit(source)
	known := c.tally.Containers[r.ID]
	if r.Reason == reasonOOMKilled && known.Kills == 0 {
		// The cgroup is gone before its count could be read; that it was one at
		// least is what the reason says.
		c.note(record{Kind: kindKills, ID: r.ID, At: r.At, Kills: 1, Old: r.Old})
	}
}

// reconcile compares with the runtime's list, which has ended containers until
// they are removed: whatever the stream missed.
func (c *counter) reconcile(ctx context.Context) {
	list, err := c.runtime.list(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		c.complain("list", "Containers cannot be listed; exits are counted when they can, if the runtime still knows of them", err)
		return
	}
	c.complaints.Over("list", "Containers can be listed again")
	listed := make(map[string]bool, len(list))
	for _, l := range list {
		listed[l.GetId()] = true
		c.compare(ctx, l)
	}
	if ctx.Err() != nil {
		return
	}
	c.miss(listed)
	c.findCgroups()
	if c.fresh {
		c.begin()
	}
}

// begin takes what the first list of all had as what was before.
func (c *counter) begin() {
	c.readKills()
	if c.kernel != nil {
		for uid, kills := range c.killsOfPods() {
			c.tally.Attributed[uid] = kills
		}
	}
	c.fresh = false
	c.persist(c.journal.compact)
}

// compare brings one listed container's news.
func (c *counter) compare(ctx context.Context, l *cri.Container) {
	known := c.tally.Containers[l.GetId()]
	switch l.GetState() {
	case cri.ContainerState_CONTAINER_EXITED:
		if known != nil && known.Exited || ctx.Err() != nil {
			return
		}
		s, err := c.runtime.status(ctx, l.GetId())
		if err != nil {
			c.complain("status", "Status of a container that ended cannot be had; the next list will tell", err)
			return
		}
		if r, ok := exitOf(s, time.Now()); ok {
			r.Old = c.fresh
			c.learn(r, "list")
		}
	case cri.ContainerState_CONTAINER_RUNNING:
		if known == nil {
			r := record{Kind: kindRunning, ID: l.GetId(), identity: identityOf(l.GetLabels(), l.GetMetadata()), At: time.Now().UnixMilli(), Old: c.fresh}
			c.note(r.bounded())
		}
	}
}

// miss sees to containers that the runtime has no more.
func (c *counter) miss(listed map[string]bool) {
	now := time.Now().UnixMilli()
	for id, known := range c.tally.Containers {
		if listed[id] {
			known.missed = 0
			continue
		}
		if known.Gone != 0 {
			continue
		}
		if known.missed++; !known.Exited && known.missed < patience {
			continue
		}
		if !known.Exited {
			c.learn(record{Kind: kindExited, ID: id, At: now, Reason: reasonUnknown, ExitCode: exitCodeUnknown}, "absence")
		}
		c.note(record{Kind: kindGone, ID: id, At: now})
	}
}

// sample sends every counter, after what they count is on the disk.
func (c *counter) sample(ctx context.Context) {
	now := time.Now()
	c.tally.forget(now)
	c.expire(ctx, now)
	c.persist(c.journal.sync)
	if c.send(ctx, c.tally.metrics(c.cfg.Node, now)) && c.tally.untold() {
		// Not before: a series that was sent with a value must not be 0 again.
		c.note(record{Kind: kindTold, At: now.UnixMilli()})
	}
	c.telemetry.size(len(c.tally.Exits)+len(c.tally.Kills), c.tally.untracked)
	c.tally.untracked = 0
}

// expire ends the series of pods that are long gone.
func (c *counter) expire(ctx context.Context, now time.Time) {
	pods := c.tally.expired(now, c.cfg.Retention)
	if len(pods) == 0 || !c.send(ctx, c.tally.stale(c.cfg.Node, now, pods)) {
		return // again next time
	}
	for _, pod := range pods {
		c.note(record{Kind: kindExpired, identity: identity{Namespace: pod.Namespace, Pod: pod.Pod}, At: now.UnixMilli()})
	}
}

// send hands samples on and tells whether they were taken for good or ill. The
// counters are cumulative, so that those which were refused are made up for by
// the next. A pipeline that waits for a store that is away must not keep us from
// the runtime's events: it has an interval.
func (c *counter) send(ctx context.Context, md pmetric.Metrics) (taken bool) {
	points := md.DataPointCount()
	if points == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CollectionInterval)
	defer cancel()
	err := c.next.ConsumeMetrics(ctx, md)
	switch {
	case err == nil:
		return true
	case consumererror.IsPermanent(err):
		c.complaints.Warn("rejected", "Samples were rejected by the pipeline; the component that did so has counted them", zap.Error(err))
		return true
	}
	c.account.Received(points)
	c.account.Dropped(points, reasonRefused)
	c.complaints.Warn(reasonRefused, "Samples were not taken by the pipeline; the next ones have their counts, too", zap.Error(err))
	return false
}
