package kubemeta

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// Reason classes an error of a source; its value is that of a label.
type Reason = kubeapi.Reason

// logInterval is how often an error of one reason is logged while it lasts.
const logInterval = 5 * time.Minute

// health counts and logs how a source fares; repeated causes are logged
// rarely, and the end of a failure once for each time it was logged.
type health struct {
	cache   *Cache
	logger  *zap.Logger
	remedy  func(Reason) string
	mu      sync.Mutex // guards everything below
	logged  map[Reason]time.Time
	unsaid  map[Reason]int // errors since the last line about the reason
	failing bool           // and the log says so
}

func newHealth(cache *Cache, logger *zap.Logger, remedy func(Reason) string) *health {
	return &health{cache: cache, logger: logger, remedy: remedy,
		logged: map[Reason]time.Time{}, unsaid: map[Reason]int{}}
}

// bad reports an error of the source.
func (h *health) bad(err error) {
	reason := kubeapi.ReasonOf(err)
	h.cache.countError(reason)
	h.mu.Lock()
	defer h.mu.Unlock()
	if reason == kubeapi.Expired { // ordinary after a long pause; the list follows at once
		return
	}
	if last, ok := h.logged[reason]; ok && time.Since(last) < logInterval {
		h.unsaid[reason]++
		return
	}
	h.logger.Warn("This node's pods cannot be read: the last known ones are used, data of newer pods "+
		"carries only what its path or sender tells, and reading is tried again",
		zap.String("reason", string(reason)), zap.String("remedy", h.remedy(reason)),
		zap.Int("unlogged_errors", h.unsaid[reason]), zap.Error(err))
	h.failing = true
	h.logged[reason] = time.Now()
	h.unsaid[reason] = 0
}

// good reports that a full read succeeded.
func (h *health) good() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing {
		h.logger.Info("This node's pods can be read again")
	}
	h.failing = false
}
