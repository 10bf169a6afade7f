package scrape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"
)

// cluster reads objects from the API server.
//
// As kubemeta, it takes credentials, trust and transport from client-go but
// not its reflector, which would decode whole objects before they are trimmed.
type cluster struct {
	config *rest.Config
	client *http.Client
	base   *url.URL
	logger *zap.Logger
}

func newCluster(config *rest.Config, logger *zap.Logger) (*cluster, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make API server client: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read API server address %q: %w", config.Host, err)
	}
	return &cluster{config: config, client: client, base: base, logger: logger}, nil
}

func (c *cluster) close() { c.client.CloseIdleConnections() }

// Bounds of what is read from the API server.
const (
	maxAnswerBytes = 32 << 20
	maxEventBytes  = 8 << 20 // etcd refuses objects beyond 1.5 MiB
	answerTimeout  = 30 * time.Second
	pageObjects    = 500
	maxObjects     = 20_000
)

// statusError is an answer other than 200.
type statusError struct {
	code int
	said string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server answered %d %s: %s", e.code, http.StatusText(e.code), e.said)
}

func hasCode(err error, codes ...int) bool {
	var status *statusError
	if !errors.As(err, &status) {
		return false
	}
	for _, code := range codes {
		if status.code == code {
			return true
		}
	}
	return false
}

// open asks for a path. The caller closes the body.
func (c *cluster) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	asked.Header.Set("Accept", "application/json")
	answer, err := c.client.Do(asked)
	if err != nil {
		return nil, err // names the method and the URL
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 512)) // the status tells enough without it
	return nil, fmt.Errorf("get %s: %w", path, &statusError{answer.StatusCode, string(said)})
}

// get reads one object.
func (c *cluster) get(ctx context.Context, path string, query url.Values, to any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body, err := c.open(ctx, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswerBytes)).Decode(to); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}

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

// object is a trimmed object of the API.
type object[T any] interface {
	*T
	meta() *metadata
}

// collection keeps all objects of a kind.
type collection[T any, P object[T]] struct {
	cluster *cluster
	path    string
	changed func()
	remedy  string
	// ready is closed when the first list is here.
	ready chan struct{}

	complaints *complaints
	mu         sync.RWMutex // guards objects
	objects    map[string]P // by namespace/name
	version    string
	full       bool
}

func newCollection[T any, P object[T]](c *cluster, path, remedy string, changed func()) *collection[T, P] {
	return &collection[T, P]{
		cluster: c, path: path, remedy: remedy, changed: changed, ready: make(chan struct{}),
		complaints: newComplaints(c.logger), objects: map[string]P{},
	}
}

// absentInterval is how often a kind that the cluster does not have is asked for.
const absentInterval = 2 * time.Minute

// run lists and watches until ctx ends.
func (c *collection[T, P]) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := c.listAndWatch(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		wait := min(time.Second<<min(failures, 5), 30*time.Second)
		failures++
		switch {
		case hasCode(err, http.StatusNotFound): // the definition is not installed, or no more
			c.replace(nil, "")
			wait = absentInterval
		case hasCode(err, http.StatusGone, http.StatusGatewayTimeout):
			wait = 0
		default:
			c.complaints.warn("watch", "Cannot read objects; those known stay", zap.String("path", c.path), zap.Error(err), zap.String("remedy", c.remedy))
		}
		if !pause(ctx, wait/2+rand.N(wait/2+1)) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// listAndWatch returns the error that ended it, never nil.
func (c *collection[T, P]) listAndWatch(ctx context.Context) error {
	if err := c.list(ctx); err != nil {
		return err
	}
	for {
		if err := c.watch(ctx); err != nil {
			return err
		}
	}
}

func (c *collection[T, P]) list(ctx context.Context) error {
	all := map[string]P{}
	query := url.Values{"limit": {strconv.Itoa(pageObjects)}}
	for {
		var page struct {
			Metadata struct {
				ResourceVersion string `json:"resourceVersion"`
				Continue        string `json:"continue"`
			} `json:"metadata"`
			Items []T `json:"items"`
		}
		if err := c.cluster.get(ctx, c.path, query, &page); err != nil {
			return err
		}
		for i := range page.Items {
			if len(all) < maxObjects {
				own := page.Items[i] // a copy, so that one kept object does not keep the page
				all[keyOf(P(&own).meta())] = &own
			}
		}
		if page.Metadata.Continue == "" || len(all) == maxObjects {
			c.replace(all, page.Metadata.ResourceVersion)
			return nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

func keyOf(m *metadata) string { return m.Namespace + "/" + m.Name }

func (c *collection[T, P]) replace(all map[string]P, version string) {
	if all == nil {
		all = map[string]P{}
	}
	c.mu.Lock()
	c.objects, c.version = all, version
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
	lasts := 5*time.Minute + rand.N(5*time.Minute)
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
	bounded := &io.LimitedReader{R: body}
	decoder := json.NewDecoder(bounded)
	for {
		bounded.N = maxEventBytes
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) && time.Since(began) > time.Second {
			return nil
		} else if err != nil {
			return fmt.Errorf("watch %s: %w", c.path, err)
		}
		if err := c.apply(event.Type, event.Object); err != nil {
			return fmt.Errorf("watch %s: %w", c.path, err)
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
		return &statusError{status.Code, status.Message}
	}
	var o T
	if err := json.Unmarshal(text, &o); err != nil {
		c.complaints.warn("decode", "Object is not understood", zap.String("path", c.path), zap.Error(err))
		if P(&o).meta().ResourceVersion == "" {
			return nil
		}
	}
	m := P(&o).meta()
	c.mu.Lock()
	c.version = m.ResourceVersion
	switch kind {
	case "ADDED", "MODIFIED":
		if _, known := c.objects[keyOf(m)]; known || len(c.objects) < maxObjects {
			c.objects[keyOf(m)] = &o
		}
	case "DELETED":
		delete(c.objects, keyOf(m))
	default:
		c.mu.Unlock()
		return nil // a bookmark
	}
	c.mu.Unlock()
	c.changed()
	return nil
}

// all are the objects, in no order.
func (c *collection[T, P]) all() []P {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]P, 0, len(c.objects))
	for _, o := range c.objects {
		all = append(all, o)
	}
	return all
}
