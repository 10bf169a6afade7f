package terminations

import (
	"context"
	"time"
)

const (
	// maxPending bounds the containers that were created and may fail to start.
	maxPending = 1000
	// pendingLimit is how long a start may take. The list has what takes longer.
	pendingLimit = 2 * time.Minute
)

// pending is a container that was created and has not started.
type pending struct {
	who    identity
	since  time.Time
	missed int // questions in a row to which the runtime did not know it
}

// inquire asks for the status that a container's end came without: it was
// removed right after.
func (c *counter) inquire(ctx context.Context, e event) record {
	s, err := c.runtime.status(ctx, e.id)
	switch {
	case err != nil:
		c.complain("status", "Status of a container that ended cannot be had; the next list will tell", err)
		return record{}
	case s != nil:
		return recordOf(s, time.Now())
	}
	r := record{Kind: kindExited, ID: e.id, identity: e.who, At: time.Now().UnixMilli(), Reason: reasonUnknown, ExitCode: exitCodeUnknown}
	if c.tally.Containers[e.id] == nil && e.who == (identity{}) {
		return record{} // nobody's: it may have been a pod's own
	}
	return r.bounded()
}

// checkPending asks for the containers that were created and not started.
func (c *counter) checkPending(ctx context.Context) {
	for id, p := range c.pending {
		s, err := c.runtime.status(ctx, id)
		if err != nil {
			return // the list will complain
		}
		r := recordOf(s, time.Now())
		if s == nil {
			p.missed++
		}
		if p.missed == patience {
			// It was removed at once, so its start failed.
			r = record{Kind: kindExited, ID: id, identity: p.who, At: time.Now().UnixMilli(), Reason: reasonUnknown, ExitCode: exitCodeUnknown}.bounded()
		}
		if r.Kind != "" {
			c.learn(r, "status")
		}
		if r.Kind != "" || time.Since(p.since) > pendingLimit {
			delete(c.pending, id)
		}
	}
}
