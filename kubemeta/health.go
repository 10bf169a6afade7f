package kubemeta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Reason classes an error of a source; its value is that of a label.
type Reason string

// Why a source could not read.
const (
	Unauthorized Reason = "unauthorized" // 401, or no token: who we are was not accepted
	Forbidden    Reason = "forbidden"    // 403: we may not
	Timeout      Reason = "timeout"      // no answer in time
	Unreachable  Reason = "unreachable"  // no connection, or it was cut
	Expired      Reason = "expired"      // 410: the watch was too far behind; listed again
	TooLarge     Reason = "too_large"    // the answer is beyond the bound
	Malformed    Reason = "malformed"    // the answer cannot be understood
	Refused      Reason = "refused"      // any other status than success
)

// Reasons lists every reason, so that each has a series from the beginning.
func Reasons() []Reason {
	return []Reason{Unauthorized, Forbidden, Timeout, Unreachable, Expired, TooLarge, Malformed, Refused}
}

var (
	errTooLarge  = errors.New("answer is larger than the bound")
	errMalformed = errors.New("answer is not a pod list")
)

// statusError is an answer other than 200 OK.
type statusError struct {
	code int
	body string // its beginning
}

func (e *statusError) Error() string {
	return fmt.Sprintf("answered %d %s: %q", e.code, http.StatusText(e.code), e.body)
}

// reasonOf classes an error of a source.
func reasonOf(err error) Reason {
	var status *statusError
	var network net.Error
	var file *fs.PathError
	switch {
	case errors.As(err, &status):
		return status.reason()
	case errors.As(err, &file): // the token's: without one nobody is asked
		return Unauthorized
	case errors.Is(err, errTooLarge):
		return TooLarge
	case errors.Is(err, errMalformed):
		return Malformed
	case errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &network) && network.Timeout():
		return Timeout
	}
	return Unreachable
}

func (e *statusError) reason() Reason {
	switch e.code {
	case http.StatusUnauthorized:
		return Unauthorized
	case http.StatusForbidden:
		return Forbidden
	case http.StatusGone:
		return Expired
	}
	return Refused
}

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
	reason := reasonOf(err)
	h.cache.countError(reason)
	h.mu.Lock()
	defer h.mu.Unlock()
	if reason == Expired { // ordinary after a long pause; the list follows at once
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
