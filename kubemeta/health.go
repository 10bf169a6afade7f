package kubemeta

import (
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// Reason classes an error of a source; its value is that of a label.
type Reason = kubeapi.Reason

// health counts and logs how a source fares.
type health struct {
	cache      *Cache
	complaints *complaint.Log
	remedy     func(Reason) string
}

func newHealth(cache *Cache, logger *zap.Logger, remedy func(Reason) string) *health {
	return &health{cache: cache, complaints: complaint.New(logger, complaint.Interval), remedy: remedy}
}

// bad reports an error of the source.
func (h *health) bad(err error) {
	reason := kubeapi.ReasonOf(err)
	h.cache.countError(reason)
	if reason == kubeapi.Expired { // ordinary after a long pause; the list follows at once
		return
	}
	h.complaints.Warn("read/"+string(reason), "This node's pods cannot be read: the last known ones are used, data of newer pods "+
		"carries only what its path or sender tells, and reading is tried again",
		zap.String("reason", string(reason)), zap.String("remedy", h.remedy(reason)), zap.Error(err))
}

// good reports that a full read succeeded.
func (h *health) good() {
	h.complaints.Over("read", "This node's pods can be read again")
}
