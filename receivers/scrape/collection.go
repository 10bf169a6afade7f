package scrape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

const (
	pageObjects = 500
	// maxHeldBytes bounds what is kept of one kind's objects, which whoever may
	// make objects can make large: 30,000 usual Services take as much.
	maxHeldBytes = 32 << 20
	// absentInterval is how often a kind is asked for that the cluster does not
	// have, or does not let us read: by every agent of the cluster.
	absentInterval = 5 * time.Minute
)

// metadata is the part of an object's that is of use here.
type metadata struct {
	Name            string            `json:"name"`
	Namespace       string            `json:"namespace"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resourceVersion"`
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
}

func (m *metadata) meta() *metadata { return m }

// lastApplied repeats the whole object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// object is a trimmed object of the API.
type object[T any] interface {
	*T
	meta() *metadata
}

// collection keeps all objects of a kind, or as many as there is room for.
//
// All agents of a cluster have the same ones. So lists are answered from the
// API server's cache, and a watch that breaks off goes on where it was: after
// a restart of the API server thousands would list otherwise.
type collection[T any, P object[T]] struct {
	cluster *cluster
	path    string
	changed func()
	remedy  string
	// ready is closed when the first list is here.
	ready chan struct{}

	complaints *complaint.Log
	version    string // up to which the objects are
	listed     bool   // the watch can go on from version
	fresh      bool   // the next list must come from etcd

	mu      sync.RWMutex // guards objects
	objects map[string]held[P]
	bytes   int // of all objects
}

// held is an object and about what it takes in memory.
type held[P any] struct {
	object P
	bytes  int
}

func newCollection[T any, P object[T]](c *cluster, path, remedy string, changed func()) *collection[T, P] {
	return &collection[T, P]{
		cluster: c, path: path, remedy: remedy, changed: changed, ready: make(chan struct{}),
		complaints: complaint.New(c.logger, complaint.Interval), objects: map[string]held[P]{},
	}
}

// run lists and watches until ctx ends.
func (c *collection[T, P]) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := c.listAndWatch(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		wait := c.failed(err, min(time.Second<<min(failures, 5), 30*time.Second))
		if !kubeapi.Pause(ctx, kubeapi.Spread(wait)) {
			return
		}
	}
}

// failed sees to an error and says how long to wait, usually as long as usual.
func (c *collection[T, P]) failed(err error, usual time.Duration) time.Duration {
	switch {
	case kubeapi.HasStatus(err, http.StatusNotFound): // the definition is not installed, or no more
		c.replace(map[string]held[P]{}, 0, "")
		c.listed = false
		return absentInterval
	case kubeapi.HasStatus(err, http.StatusForbidden):
		usual = absentInterval
	case kubeapi.HasStatus(err, http.StatusGone, http.StatusGatewayTimeout): // ordinary after a long pause
		return usual
	}
	c.complaints.Warn("watch", "Cannot read objects; those known stay", zap.String("path", c.path), zap.Error(err), zap.String("remedy", c.remedy))
	return usual
}

// listAndWatch returns the error that ended it, never nil. It does not list
// where it can go on watching.
func (c *collection[T, P]) listAndWatch(ctx context.Context) error {
	if !c.listed {
		if err := c.list(ctx); err != nil {
			c.fresh = kubeapi.HasStatus(err, http.StatusGone, http.StatusGatewayTimeout)
			return err
		}
		c.listed, c.fresh = true, false
	}
	for {
		if err := c.watch(ctx); err != nil {
			c.listed = !errors.As(err, new(outOfStep)) && !kubeapi.HasStatus(err, http.StatusBadRequest, http.StatusGone, http.StatusGatewayTimeout)
			return err
		}
	}
}

// outOfStep is an error of a watch that another one would meet, too.
type outOfStep struct{ error }

func (e outOfStep) Unwrap() error { return e.error }

func (c *collection[T, P]) list(ctx context.Context) error {
	query := url.Values{}
	switch {
	case c.fresh: // in pages, which only etcd gives
		query.Set("limit", strconv.Itoa(pageObjects))
	case c.version == "":
		query.Set("resourceVersion", "0") // whatever the API server has in its cache
	default:
		query.Set("resourceVersion", c.version) // likewise, but not behind what the watch told
	}
	all, bytes := map[string]held[P]{}, 0
	for {
		page, err := c.page(ctx, query, func(text json.RawMessage) {
			if o, ok := c.decode(text); ok {
				key, own := keyOf(o.meta()), weigh(o, len(text))
				if bytes+own > maxHeldBytes {
					c.full(key)
					return
				}
				all[key] = held[P]{o, own}
				bytes += own
			}
		})
		if err != nil {
			return err
		}
		if page.Continue == "" {
			c.replace(all, bytes, page.ResourceVersion)
			return nil
		}
		query.Set("continue", page.Continue)
	}
}

func keyOf(m *metadata) string { return m.Namespace + "/" + m.Name }

// weigh says about what an object takes in memory; text is how long it is as JSON.
func weigh[P interface{ meta() *metadata }](o P, text int) int {
	if w, ok := any(o).(interface{ bytes() int }); ok {
		return w.bytes()
	}
	return text
}

// full says that an object is left out.
func (c *collection[T, P]) full(key string) {
	c.complaints.Warn("full", "Objects take more memory than they may; some are left out", zap.String("path", c.path),
		zap.String("object", key), zap.Int("bound_bytes", maxHeldBytes), zap.String("remedy", "find out who makes so many or so large ones"))
}

// page asks for one page of a list.
func (c *collection[T, P]) page(ctx context.Context, query url.Values, item func(json.RawMessage)) (m listMeta, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body, err := c.cluster.open(ctx, c.path, query)
	if err != nil {
		return m, err
	}
	defer body.Close()
	if m, err = decodeList(body, item); err != nil {
		return m, fmt.Errorf("list %s: %w", c.path, err)
	}
	return m, nil
}

// decode reads an object. One that is not understood is left out by itself: a
// number out of range in one monitor must not stop all others.
func (c *collection[T, P]) decode(text json.RawMessage) (o P, ok bool) {
	o = new(T)
	if err := json.Unmarshal(text, o); err != nil {
		c.complaints.Warn("decode", "Object is not understood and is left out", zap.String("path", c.path),
			zap.String("object", keyOf(o.meta())), zap.Error(err))
		return o, false
	}
	delete(o.meta().Annotations, lastApplied)
	return o, true
}

func (c *collection[T, P]) replace(all map[string]held[P], bytes int, version string) {
	c.version = version
	c.mu.Lock()
	c.objects, c.bytes = all, bytes
	c.mu.Unlock()
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
	c.changed()
}

// watch applies events until the server ends the watch in good order.
func (c *collection[T, P]) watch(ctx context.Context) error {
	lasts := kubeapi.Spread(10 * time.Minute)
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, lasts+answerTimeout)
	defer cancel()
	body, err := c.cluster.open(ctx, c.path, url.Values{
		"watch":               {"1"},
		"allowWatchBookmarks": {"true"},
		"resourceVersion":     {c.version},
		"timeoutSeconds":      {strconv.Itoa(int(lasts.Seconds()))},
	})
	if err != nil {
		return err
	}
	defer body.Close()
	bounded := &kubeapi.BoundedReader{R: body}
	decoder := json.NewDecoder(bounded)
	for {
		bounded.Left = kubeapi.MaxObjectBytes
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) && time.Since(began) > time.Second {
			return nil
		} else if err != nil {
			return fmt.Errorf("watch %s: %w", c.path, malformed(err))
		}
		if err := c.apply(event.Type, event.Object); err != nil {
			return fmt.Errorf("watch %s: %w", c.path, outOfStep{err})
		}
	}
}

func (c *collection[T, P]) apply(kind string, text json.RawMessage) error {
	if kind == "ERROR" {
		var status struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		_ = json.Unmarshal(text, &status) // a zero code is an error as good as any
		return &kubeapi.StatusError{Code: status.Code, Body: status.Message}
	}
	o, ok := c.decode(text)
	m := o.meta()
	if m.ResourceVersion != "" {
		c.version = m.ResourceVersion
	}
	if kind != "ADDED" && kind != "MODIFIED" && kind != "DELETED" || m.Name == "" {
		return nil // a bookmark
	}
	c.put(keyOf(m), o, ok && kind != "DELETED", len(text))
	c.changed()
	return nil
}

// put keeps an object in the place of what was there, or nothing.
func (c *collection[T, P]) put(key string, o P, keep bool, text int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= c.objects[key].bytes
	delete(c.objects, key)
	own := weigh(o, text)
	switch {
	case !keep:
	case c.bytes+own > maxHeldBytes:
		c.full(key)
	default:
		c.objects[key] = held[P]{o, own}
		c.bytes += own
	}
}

// all are the objects, in no order.
func (c *collection[T, P]) all() []P {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]P, 0, len(c.objects))
	for _, h := range c.objects {
		all = append(all, h.object)
	}
	return all
}
