package containerlogs

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// throttle lets one warning a minute through for each cause and says how many
// it held back. Causes are constants, so the map stays small.
type throttle struct {
	mu     sync.Mutex
	causes map[string]*cause
}

type cause struct {
	last       time.Time
	suppressed int
}

const warnEvery = time.Minute

func (q *throttle) warn(log *zap.Logger, key, message string, fields ...zap.Field) {
	suppressed, ok := q.pass(key, time.Now())
	if !ok {
		return
	}
	log.Warn(message, append(fields, zap.Int("suppressed", suppressed))...)
}

func (q *throttle) pass(key string, now time.Time) (suppressed int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.causes[key]
	if c == nil {
		if q.causes == nil {
			q.causes = map[string]*cause{}
		}
		c = &cause{}
		q.causes[key] = c
	} else if now.Sub(c.last) < warnEvery {
		c.suppressed++
		return 0, false
	}
	suppressed, c.suppressed, c.last = c.suppressed, 0, now
	return suppressed, true
}
