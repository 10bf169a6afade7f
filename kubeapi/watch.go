package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// pageObjects is how many objects a page of a list has.
const pageObjects = 500

// Handler takes what a Reader reads. It is called by one goroutine; data is an
// encoded object and valid until the call returns.
type Handler interface {
	// Begin begins a list: until End, Put is called with each object there is.
	Begin()
	// End ends the list. It does not come if a page cannot be read. An error
	// makes the Reader list anew.
	End(version string) error
	// Put takes an object as it is now and Delete one that is gone, as it was;
	// they return its resourceVersion, "" if it cannot be decoded.
	Put(data []byte) (version string)
	Delete(data []byte) (version string)
	// Bookmark tells that nothing happened up to a version.
	Bookmark(version string)
	// Listed tells how a list went, and Watched how a watch ended: nil if the
	// server ended it in good order.
	Listed(err error)
	Watched(err error)
	// Failed takes the error that makes the Reader begin anew, and returns how
	// long to wait before; usual is as long as others do.
	Failed(err error, usual time.Duration) time.Duration
}

// Reader reads the objects of one resource.
type Reader struct {
	Client *http.Client
	// URL is that of the resource, such as https://10.0.0.1/api/v1/pods, and
	// Resource its plural, for errors.
	URL, Resource string
	// Selector is one of fields; "" is all.
	Selector string
	Encoding Encoding
	// Paged lists come from etcd in pages. A list with a selector should not:
	// a page costs the server as much as the whole, and its cache answers at
	// once.
	Paged   bool
	Handler Handler

	version string // up to which the handler is; "" at first
	fresh   bool   // the next list must come from etcd
}

// Run lists and watches until the context ends.
func (r *Reader) Run(ctx context.Context) {
	retry := Backoff{Min: time.Second, Max: 30 * time.Second}
	for {
		began := time.Now()
		err := r.listAndWatch(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := r.Handler.Failed(err, retry.Next())
		if time.Since(began) > time.Minute {
			retry.Reset()
		}
		if !Pause(ctx, wait) {
			return
		}
	}
}

// Forget makes the next list be like the first.
func (r *Reader) Forget() { r.version = "" }

// listAndWatch returns the error that ended it, never nil.
func (r *Reader) listAndWatch(ctx context.Context) error {
	err := r.list(ctx)
	if ctx.Err() == nil {
		r.Handler.Listed(err)
	}
	if err != nil {
		// 410 for a version that the server has forgotten, 504 for one it has
		// not reached (etcd was restored). Only now, not after a watch: etcd
		// reads all objects for a list by a selector, and after a failure all
		// nodes list.
		r.fresh = HasStatus(err, http.StatusGone, http.StatusGatewayTimeout)
		return fmt.Errorf("list %s: %w", r.Resource, err)
	}
	for {
		err := r.watch(ctx)
		if ctx.Err() == nil {
			r.Handler.Watched(err)
		}
		if err != nil {
			return fmt.Errorf("watch %s: %w", r.Resource, err)
		}
	}
}

// list reads all pages.
func (r *Reader) list(ctx context.Context) error {
	query := url.Values{}
	switch {
	case r.Paged:
		query.Set("limit", strconv.Itoa(pageObjects))
	case r.fresh: // asks etcd
	case r.version == "":
		query.Set("resourceVersion", "0") // whatever the server has in its cache
	default:
		query.Set("resourceVersion", r.version) // not behind what the watch told
	}
	r.Handler.Begin()
	for {
		meta, err := r.page(ctx, query)
		if err != nil {
			return err
		}
		if meta.next == "" {
			r.version, r.fresh = meta.version, false
			return r.Handler.End(meta.version)
		}
		query.Set("continue", meta.next)
	}
}

func (r *Reader) page(ctx context.Context, query url.Values) (listMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, AnswerTimeout)
	defer cancel()
	c := codecOf(r.Encoding)
	resp, err := Get(ctx, r.Client, r.query(query), c.accept())
	if err != nil {
		return listMeta{}, err
	}
	defer resp.Body.Close()
	return c.list(resp.Body, func(data []byte) { r.Handler.Put(data) })
}

// errShortWatch keeps a server or proxy that ends every watch at once from
// being asked in a tight loop.
var errShortWatch = errors.New("the server ended the watch within a second")

// watch applies events until the server ends the watch in good order.
func (r *Reader) watch(ctx context.Context) error {
	lasts := Spread(10 * time.Minute)
	began := time.Now()
	// A server that falls silent without closing must not hold us for ever.
	ctx, cancel := context.WithTimeout(ctx, lasts+AnswerTimeout)
	defer cancel()
	stuck := time.AfterFunc(AnswerTimeout, cancel)
	c := codecOf(r.Encoding)
	resp, err := Get(ctx, r.Client, r.query(url.Values{
		"watch":               {"1"},
		"allowWatchBookmarks": {"true"},
		"resourceVersion":     {r.version},
		"timeoutSeconds":      {strconv.Itoa(int(lasts.Seconds()))},
	}), watching(r.Encoding, c))
	if !stuck.Stop() && err != nil {
		err = fmt.Errorf("no answer within %v: %w", AnswerTimeout, context.DeadlineExceeded)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := r.follow(c, resp.Body); err != nil {
		return err
	}
	if time.Since(began) < time.Second {
		return errShortWatch
	}
	return nil
}

// follow applies the events of a watch until its end.
func (r *Reader) follow(c codec, body io.Reader) error {
	next := c.events(body)
	for {
		e, err := next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e.kind == eventError {
			return e.status
		}
		if version := r.apply(e); version != "" {
			r.version = version
		}
	}
}

func (r *Reader) apply(e event) (version string) {
	switch e.kind {
	case "ADDED", "MODIFIED":
		return r.Handler.Put(e.data)
	case "DELETED":
		return r.Handler.Delete(e.data)
	case eventBookmark:
		r.Handler.Bookmark(e.version)
		return e.version
	}
	return "" // a kind that a later server invents
}

func (r *Reader) query(values url.Values) string {
	if r.Selector != "" {
		values.Set("fieldSelector", r.Selector)
	}
	return r.URL + "?" + values.Encode()
}
