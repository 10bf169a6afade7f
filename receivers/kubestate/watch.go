package kubestate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	// pageObjects is how many objects a page of a list has.
	pageObjects = 500
	// absentPause is how long an optional kind that the server does not know is
	// left alone.
	absentPause = time.Minute
	// forbiddenPause is the same for one that may not be read: on each node, if
	// it is pods.
	forbiddenPause = 5 * time.Minute
)

// watcher keeps a store like what the API server has of one kind. It follows
// the protocol of client-go's reflector, without keeping the objects: list,
// watch from the list's version on, go on with the version of the last event or
// bookmark when the server ends the watch, list again from its cache after 410
// Gone, and from etcd only if that cache cannot answer.
type watcher struct {
	kind     *kind
	codec    codec
	client   *http.Client
	url      string
	selector string // of fields; "" is all
	// paged lists come from etcd in pages. A list by node is not: with a
	// selector a page costs the server as much as the whole, and its cache
	// answers at once.
	paged  bool
	store  *store
	writer writer
	report *report

	version string // up to which the store is; "" at first
	fresh   bool   // the next list must come from etcd
	tried   sync.Once
	waiting *sync.WaitGroup // of those who wait for every kind's first list
}

// run lists and watches until the context ends; errors are counted, logged and
// outlived, and the last known objects stay.
func (w *watcher) run(ctx context.Context) {
	defer w.first()
	retry := backoff{min: time.Second, max: 30 * time.Second}
	for {
		began := time.Now()
		err := w.listAndWatch(ctx)
		w.first()
		if ctx.Err() != nil {
			return
		}
		wait := w.failed(err, retry.next())
		if time.Since(began) > time.Minute {
			retry.failures = 0
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// failed sees to an error and says how long to wait, usually as long as usual.
func (w *watcher) failed(err error, usual time.Duration) time.Duration {
	switch {
	case w.undefined(err):
		w.absent()
		return spread(absentPause)
	case w.withheld(err):
		w.absent()
		w.report.leftOut(err)
		return spread(forbiddenPause)
	}
	w.report.bad(err)
	if hasStatus(err, http.StatusForbidden) {
		return spread(forbiddenPause)
	}
	return usual
}

// first ends the wait for the first list, successful or not.
func (w *watcher) first() { w.tried.Do(w.waiting.Done) }

// undefined tells of an error that the kind is one which this cluster lacks:
// nothing is wrong, and alerts on errors of lists must not hear of it.
func (w *watcher) undefined(err error) bool {
	return w.kind.optional && hasStatus(err, http.StatusNotFound)
}

// withheld tells of an error that the kind is one which this program may be
// denied on purpose: likewise.
func (w *watcher) withheld(err error) bool {
	return w.kind.sensitive && hasStatus(err, http.StatusForbidden)
}

// absent forgets the objects of a kind that is no longer there for us.
func (w *watcher) absent() {
	w.store.begin()
	w.store.end()
	w.version = ""
}

// listAndWatch returns the error that ended it, never nil.
func (w *watcher) listAndWatch(ctx context.Context) error {
	err := w.list(ctx)
	if !w.undefined(err) && !w.withheld(err) {
		w.report.listed(err)
	}
	if err != nil {
		w.fresh = hasStatus(err, http.StatusGone, http.StatusGatewayTimeout)
		return fmt.Errorf("list %s: %w", w.kind.resource, err)
	}
	w.first()
	w.report.good()
	for {
		err := w.watch(ctx)
		if ctx.Err() == nil {
			w.report.watched(err)
		}
		if err != nil {
			return fmt.Errorf("watch %s: %w", w.kind.resource, err)
		}
	}
}

// list reads all pages; what they do not have is gone.
func (w *watcher) list(ctx context.Context) error {
	query := url.Values{}
	switch {
	case w.paged:
		query.Set("limit", strconv.Itoa(pageObjects))
	case !w.fresh && w.version == "":
		query.Set("resourceVersion", "0") // whatever the server has in its cache
	case !w.fresh:
		query.Set("resourceVersion", w.version) // not behind what the watch told
	}
	w.store.begin()
	for {
		meta, err := w.page(ctx, query)
		if err != nil {
			return err
		}
		if meta.next == "" {
			w.version, w.fresh = meta.version, false
			w.store.end()
			return nil
		}
		query.Set("continue", meta.next)
	}
}

func (w *watcher) page(ctx context.Context, query url.Values) (listMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := get(ctx, w.client, w.query(query), w.codec.accept())
	if err != nil {
		return listMeta{}, err
	}
	defer resp.Body.Close()
	return w.codec.list(resp.Body, w.put)
}

// errShortWatch keeps a server or proxy that ends every watch at once from
// being asked in a tight loop.
var errShortWatch = errors.New("the server ended the watch within a second")

// watch applies events until the server ends the watch in good order.
func (w *watcher) watch(ctx context.Context) error {
	lasts := spread(10 * time.Minute)
	began := time.Now()
	// A server that falls silent without closing must not hold us for ever.
	ctx, cancel := context.WithTimeout(ctx, lasts+answerTimeout)
	defer cancel()
	stuck := time.AfterFunc(answerTimeout, cancel)
	resp, err := get(ctx, w.client, w.query(url.Values{
		"watch":               {"1"},
		"allowWatchBookmarks": {"true"},
		"resourceVersion":     {w.version},
		"timeoutSeconds":      {strconv.Itoa(int(lasts.Seconds()))},
	}), watching(w.kind.encoding, w.codec))
	if !stuck.Stop() && err != nil {
		err = fmt.Errorf("no answer within %v: %w", answerTimeout, context.DeadlineExceeded)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := w.follow(resp.Body); err != nil {
		return err
	}
	if time.Since(began) < time.Second {
		return errShortWatch
	}
	return nil
}

// follow applies the events of a watch until its end.
func (w *watcher) follow(body io.Reader) error {
	next := w.codec.events(body)
	for {
		e, err := next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch e.kind {
		case "ADDED", "MODIFIED":
			w.put(e.data)
		case "DELETED":
			w.delete(e.data)
		case eventBookmark:
			if e.version != "" {
				w.version = e.version
			}
		case eventError:
			return e.status
		}
	}
}

// put takes an object as it is now. One that cannot be decoded keeps the series
// it had; the others are fine.
func (w *watcher) put(data []byte) {
	meta, err := w.kind.generate(&w.writer, data)
	if err != nil {
		w.report.bad(fmt.Errorf("%w: %w", errMalformed, err))
		return
	}
	if !w.store.put(meta.key, w.writer.packer.buf) {
		w.report.refused()
	}
	w.seen(meta)
}

func (w *watcher) delete(data []byte) {
	meta, err := w.kind.generate(&w.writer, data)
	if err != nil {
		w.report.bad(fmt.Errorf("%w: %w", errMalformed, err))
		return
	}
	w.store.delete(meta.key)
	w.seen(meta)
}

// seen notes what happened and up to where.
func (w *watcher) seen(meta meta) {
	w.version = meta.version
	w.report.took(&w.writer.packer)
}

func (w *watcher) query(values url.Values) string {
	if w.selector != "" {
		values.Set("fieldSelector", w.selector)
	}
	return w.url + "?" + values.Encode()
}
