package kubeevents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// forbiddenPause is how long events are left alone that may not be read.
const forbiddenPause = time.Minute

// errSetBack tells of a server whose versions are lower than those we know:
// etcd was restored or made anew.
var errSetBack = errors.New("the API server is behind what was sent before: it was set back, and all its events are taken for new")

// watcher puts what happens into the queue. It is its reader's handler, of one
// goroutine, and lives for one term of leading.
type watcher struct {
	ctx       context.Context // of the term
	queue     *queue
	account   *ledger.Account
	telemetry *telemetry
	log       *complaint.Log

	// taken is the version up to which everything is in the queue. Versions are
	// etcd's revisions: of all objects together, and they only grow.
	taken   uint64
	listing bool
	listed  []item // of the list that is being read
}

// Begin begins a list.
func (w *watcher) Begin() { w.listing, w.listed = true, w.listed[:0] }

// End sends what the list has and was not known, in the order of time: Loki
// refuses what is an hour behind in its stream.
func (w *watcher) End(version string) error {
	w.listing = false
	now, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		now = 0 // versions are no numbers here, so nothing is ever known
	}
	if err == nil && now < w.taken {
		w.taken = 0
		return errSetBack
	}
	if w.flush() && w.queue.put(w.ctx, item{mark: now}) {
		w.taken = now
	}
	w.listed = nil
	return nil
}

// flush puts what was listed into the queue.
func (w *watcher) flush() bool {
	slices.SortStableFunc(w.listed, func(a, b item) int {
		return cmp.Or(a.event.at.Compare(b.event.at), cmp.Compare(a.event.version, b.event.version))
	})
	for _, i := range w.listed {
		w.queue.room.Release(i.size()) // put takes it again
		if !w.queue.put(w.ctx, i) {
			return false
		}
	}
	w.listed = w.listed[:0]
	return true
}

// Put takes an event that is new or occurred again.
func (w *watcher) Put(data []byte) (version string) {
	e, version, err := decode(data, time.Now())
	if err != nil {
		w.account.Received(1)
		w.account.Dropped(1, ledger.ReasonMalformed)
		w.bad(fmt.Errorf("%w: %w", kubeapi.ErrMalformed, err))
		return ""
	}
	if e.version > 0 && e.version <= w.taken {
		return version
	}
	w.telemetry.cuts(e.cut)
	i := item{event: e, mark: e.version}
	if w.listing {
		i.mark = 0 // a list is in the order of names
		w.list(i)
	} else if w.queue.put(w.ctx, i) {
		w.taken = max(w.taken, e.version)
	}
	return version
}

// list keeps an event of a list. One that is larger than the queue is sent in
// parts, each in the order of time.
func (w *watcher) list(i item) {
	if !w.queue.room.TryAcquire(i.size()) {
		w.flush()
		if w.queue.room.Acquire(w.ctx, i.size()) != nil {
			return
		}
	}
	w.listed = append(w.listed, i)
}

// Delete has nothing to tell: an event that expired happened before.
func (w *watcher) Delete(data []byte) (version string) {
	_, version, err := decode(data, time.Now())
	if err != nil {
		w.bad(fmt.Errorf("%w: %w", kubeapi.ErrMalformed, err))
	}
	return version
}

// Bookmark has nothing to tell.
func (w *watcher) Bookmark(string) {}

// Listed ends a time of failures.
func (w *watcher) Listed(err error) {
	w.forget()
	if err == nil {
		w.log.Over("read", "Events can be read from the API server again")
	}
}

// forget gives back the room of a list that broke off.
func (w *watcher) forget() {
	w.listing = false
	for _, i := range w.listed {
		w.queue.room.Release(i.size())
	}
	w.listed = nil
}

// Watched has nothing to tell: errors come to Failed.
func (w *watcher) Watched(error) {}

// Failed sees to an error and says how long to wait.
func (w *watcher) Failed(err error, usual time.Duration) time.Duration {
	if errors.Is(err, errSetBack) {
		w.log.Warn("set back", "Events are sent anew, some of them for the second time", zap.Error(err))
		return 0
	}
	w.bad(err)
	if kubeapi.HasStatus(err, http.StatusForbidden) {
		return kubeapi.Spread(forbiddenPause)
	}
	return usual
}

// bad counts an error and logs it unless its cause was logged lately.
func (w *watcher) bad(err error) {
	reason := kubeapi.ReasonOf(err)
	w.telemetry.failed(string(reason))
	if reason == kubeapi.Expired { // ordinary after a long pause; the list follows at once
		return
	}
	w.log.Warn("read/"+string(reason), "Events cannot be read from the API server; it keeps them for an hour, and reading is tried again",
		zap.String("reason", string(reason)), zap.String("remedy", kubeapi.Remedy(reason, "list and watch on events")), zap.Error(err))
}
