package kubestate

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/cadence"
	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// reasonRefused: the pipeline did not take a batch and the interval is over.
const reasonRefused = "refused"

// sender tells the state of all stores at each interval. Of one goroutine.
type sender struct {
	mu         sync.Mutex
	stores     []*store    // custom resources' come later
	self       *selfReport // nil where another program tells it
	next       consumer.Metrics
	account    *ledger.Account
	telemetry  *telemetry
	complaints *complaint.Log
	batch      batch
}

// run sends once the first lists are there or an interval is over, and then at
// the times that are phase past a multiple of interval, until ctx ends.
func (s *sender) run(ctx context.Context, interval time.Duration, listed *sync.WaitGroup) {
	ready := make(chan struct{})
	go func() { listed.Wait(); close(ready) }()
	first := time.NewTimer(interval)
	defer first.Stop()
	select {
	case <-ctx.Done():
		<-ready // the watchers end with the same context
		return
	case <-first.C:
	case <-ready:
	}
	s.pass(ctx)
	cadence.Of(hostname(), interval).Run(ctx, s.pass)
	<-ready
}

// add takes a store into the next pass.
func (s *sender) add(store *store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores = append(s.stores, store)
}

// known are the stores that there are now.
func (s *sender) known() []*store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stores
}

// maxHeld is how long the batches of a pass bear one time. A pipeline may hold
// one up for hours, and what follows it is as things are then.
const maxHeld = time.Second

// pass sends every object once.
func (s *sender) pass(ctx context.Context) {
	began := time.Now()
	points := 0
	now := pcommon.NewTimestampFromTime(began)
	s.batch.begin(now)
	for _, store := range s.known() {
		for slot, more := 0, true; more; {
			if slot, more = s.batch.fill(store, slot); s.batch.points >= batchPoints {
				points += s.batch.points
				s.send(ctx)
				if time.Since(now.AsTime()) > maxHeld {
					now = pcommon.NewTimestampFromTime(time.Now())
				}
				s.batch.begin(now)
			}
			if ctx.Err() != nil {
				s.batch.settle(false)
				s.batch.release()
				return
			}
		}
	}
	if s.self != nil {
		s.self.write(&s.batch, time.Since(began), points+s.batch.points)
	}
	points += s.batch.points
	s.send(ctx)
	s.batch.release()
	s.telemetry.passed(time.Since(began), points)
	s.telemetry.sizes(s.known())
}

// send hands the batch on and settles its objects: a batch refused for now is
// given up, the next interval tells the state anew.
func (s *sender) send(ctx context.Context) {
	points := s.batch.points
	if points == 0 {
		return
	}
	s.telemetry.marked(s.batch.stale)
	err := s.next.ConsumeMetrics(ctx, s.batch.metrics)
	taken := err == nil || consumererror.IsPermanent(err)
	s.batch.settle(taken)
	switch {
	case err == nil || ctx.Err() != nil && !taken:
	case taken:
		s.complaints.Warn("rejected", "Cluster state was rejected by the pipeline; the component that did so has counted its points",
			zap.Int("points", points), zap.Error(err))
	default:
		s.account.Received(points)
		s.account.Dropped(points, reasonRefused)
		s.complaints.Warn(reasonRefused, "Cluster state was not taken by the pipeline; the next interval tells it anew",
			zap.Int("points", points), zap.Error(err))
	}
}
