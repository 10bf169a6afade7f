package kubeevents

import (
	"context"

	"golang.org/x/sync/semaphore"
)

const (
	// maxQueueBytes bounds the events that are read and not sent. Past it they
	// stay with the API server, which keeps them for an hour.
	maxQueueBytes = 32 << 20
	// What one call of the pipeline takes at most.
	maxBatchEvents = 1000
	maxBatchBytes  = 1 << 20
)

// item is an event on its way, or a mark without one.
type item struct {
	event *event
	// mark: with this item everything up to this version is sent; 0 says nothing.
	mark uint64
}

// queue holds the events between the watch and the pipeline.
type queue struct {
	items chan item
	room  *semaphore.Weighted // in bytes
}

func newQueue() *queue {
	return &queue{items: make(chan item, maxQueueBytes/eventBytes), room: semaphore.NewWeighted(maxQueueBytes)}
}

func (i item) size() int64 {
	if i.event == nil {
		return eventBytes
	}
	return min(i.event.size(), maxQueueBytes)
}

// put waits for room; false: ctx ended. Room bounds the number of items too, so
// that the channel always takes one.
func (q *queue) put(ctx context.Context, i item) bool {
	if q.room.Acquire(ctx, i.size()) != nil {
		return false
	}
	q.items <- i
	return true
}

// batch waits for events and takes as many as there are and go into one call.
func (q *queue) batch(ctx context.Context) ([]item, bool) {
	var batch []item
	var bytes int64
	select {
	case i := <-q.items:
		batch, bytes = append(batch, i), i.size()
	case <-ctx.Done():
		return nil, false
	}
	for len(batch) < maxBatchEvents && bytes < maxBatchBytes {
		select {
		case i := <-q.items:
			batch, bytes = append(batch, i), bytes+i.size()
		default:
			return batch, true
		}
	}
	return batch, true
}

// release gives back the room of a batch that is sent.
func (q *queue) release(batch []item) {
	for _, i := range batch {
		q.room.Release(i.size())
	}
}
