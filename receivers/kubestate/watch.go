package kubestate

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

const (
	// absentPause is how long an optional kind that the server does not know is
	// left alone.
	absentPause = time.Minute
	// forbiddenPause is the same for one that may not be read: on each node, if
	// it is pods.
	forbiddenPause = 5 * time.Minute
)

// watcher keeps a store like what the API server has of one kind, without
// keeping the objects. It is its reader's handler; the last known objects stay
// while they cannot be read.
type watcher struct {
	kind   *kind
	reader kubeapi.Reader
	store  *store
	writer writer
	report *report

	tried   sync.Once
	waiting *sync.WaitGroup // of those who wait for every kind's first list
}

// run lists and watches until the context ends.
func (w *watcher) run(ctx context.Context) {
	defer w.first()
	w.reader.Handler = w
	w.reader.Run(ctx)
}

// first ends the wait for the first list, successful or not.
func (w *watcher) first() { w.tried.Do(w.waiting.Done) }

// Failed sees to an error and says how long to wait.
func (w *watcher) Failed(err error, usual time.Duration) time.Duration {
	switch {
	case w.undefined(err):
		w.absent()
		return kubeapi.Spread(absentPause)
	case w.withheld(err):
		w.absent()
		w.report.leftOut(err)
		return kubeapi.Spread(forbiddenPause)
	}
	w.report.bad(err)
	if kubeapi.HasStatus(err, http.StatusForbidden) {
		return kubeapi.Spread(forbiddenPause)
	}
	return usual
}

// undefined tells of an error that the kind is one which this cluster lacks:
// nothing is wrong, and alerts on errors of lists must not hear of it.
func (w *watcher) undefined(err error) bool {
	return w.kind.optional && kubeapi.HasStatus(err, http.StatusNotFound)
}

// withheld tells of an error that the kind is one which this program may be
// denied on purpose: likewise.
func (w *watcher) withheld(err error) bool {
	return w.kind.sensitive && kubeapi.HasStatus(err, http.StatusForbidden)
}

// absent forgets the objects of a kind that is no longer there for us.
func (w *watcher) absent() {
	w.store.begin()
	w.store.end()
	w.reader.Forget()
}

// Listed counts a list.
func (w *watcher) Listed(err error) {
	if !w.undefined(err) && !w.withheld(err) {
		w.report.listed(err)
	}
	if err == nil {
		w.report.good()
	}
	w.first()
}

// Watched counts a watch.
func (w *watcher) Watched(err error) { w.report.watched(err) }

// Begin begins a list: what it does not have is gone.
func (w *watcher) Begin() { w.store.begin() }

// End ends it.
func (w *watcher) End(string) error {
	w.store.end()
	return nil
}

// Bookmark has nothing to tell.
func (w *watcher) Bookmark(string) {}

// Put takes an object as it is now. One that cannot be decoded keeps the series
// it had; the others are fine.
func (w *watcher) Put(data []byte) (version string) {
	meta, err := w.kind.generate(&w.writer, data)
	if err != nil {
		w.report.bad(fmt.Errorf("%w: %w", kubeapi.ErrMalformed, err))
		return ""
	}
	if !w.store.put(meta.key, w.writer.packer.buf) {
		w.report.refused()
	}
	w.report.took(&w.writer.packer)
	return meta.version
}

// Delete takes one that is gone.
func (w *watcher) Delete(data []byte) (version string) {
	meta, err := w.kind.generate(&w.writer, data)
	if err != nil {
		w.report.bad(fmt.Errorf("%w: %w", kubeapi.ErrMalformed, err))
		return ""
	}
	w.store.delete(meta.key)
	w.report.took(&w.writer.packer)
	return meta.version
}
