package kubeevents

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// sender hands the queue's events to the pipeline, one batch after the other:
// in Loki a namespace's events are one stream, whose order is kept so.
type sender struct {
	next      consumer.Logs
	queue     *queue
	telemetry *telemetry
	log       *complaint.Log
	sent      atomic.Uint64 // version up to which the pipeline has everything
}

// run sends until ctx ends. What is in the queue then was not sent, and the
// progress does not say that it was.
func (s *sender) run(ctx context.Context) {
	for {
		batch, ok := s.queue.batch(ctx)
		if !ok || !s.deliver(ctx, batch) {
			return
		}
		s.queue.release(batch)
		for _, i := range batch {
			if i.mark > 0 {
				s.sent.Store(i.mark)
			}
		}
	}
}

// deliver tries until the pipeline took the batch, or refused it for good;
// false: ctx ended.
func (s *sender) deliver(ctx context.Context, batch []item) bool {
	var events []*event
	for _, i := range batch {
		if i.event != nil {
			events = append(events, i.event)
		}
	}
	if len(events) == 0 {
		return true
	}
	retry := kubeapi.Backoff{Min: time.Second, Max: 30 * time.Second}
	for {
		// Encoded anew each time: the pipeline may have changed what it got.
		err := s.next.ConsumeLogs(ctx, encode(events, time.Now()))
		switch {
		case err == nil || consumererror.IsPermanent(err): // whoever refused it counted and logged it
			s.telemetry.took(events)
			s.log.Over("send", "The pipeline takes events again")
			return true
		case ctx.Err() != nil:
			return false
		}
		s.telemetry.refused()
		s.log.Warn("send", "Events were not taken by the pipeline and are sent again; meanwhile they wait here, and past 32 MiB with the API server, which keeps them for an hour",
			zap.Int("events", len(events)), zap.Error(err))
		if !kubeapi.Pause(ctx, retry.Next()) {
			return false
		}
	}
}
