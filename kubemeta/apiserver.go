package kubemeta

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
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// APIServer fills a cache from the API server: one list of a node's pods, then
// a watch.
//
// It takes credentials, trust and transport from client-go, but not its
// reflector: that one decodes whole v1.Pods before they can be trimmed, hides
// the errors of a watch from its owner, and brings k8s.io/api into the binary.
// What is kept of its protocol: a list no older than the last version seen,
// bookmarks, watches that the server ends after some minutes, a list after 410
// Gone, and one from etcd only if the server's cache cannot answer.
type APIServer struct {
	cache  *Cache
	client *http.Client
	pods   string // URL of the pod resource
	node   string
	health *health

	version string // resourceVersion up to which the cache is; "" at first
	fresh   bool   // the next list must come from etcd
}

// APIServerSettings is what an APIServer needs.
type APIServerSettings struct {
	// Config says where the server is and who we are, see ClusterConfig.
	Config *rest.Config
	// Node is the node whose pods are watched.
	Node   string
	Logger *zap.Logger
}

// ErrNotInCluster tells that the process runs outside a cluster.
var ErrNotInCluster = rest.ErrNotInCluster

// ClusterConfig reads how to reach the API server: from a kubeconfig file, or
// for "" from the pod's service account, whose token is read again as it is
// rotated. ErrNotInCluster when there is neither.
func ClusterConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	return config, nil
}

// NewAPIServer makes a source; Run runs it. It connects to nothing yet.
func NewAPIServer(cache *Cache, s APIServerSettings) (*APIServer, error) {
	client, err := rest.HTTPClientFor(s.Config)
	if err != nil {
		return nil, fmt.Errorf("make API server client: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(s.Config)
	if err != nil {
		return nil, fmt.Errorf("read API server address %q: %w", s.Config.Host, err)
	}
	return &APIServer{
		cache:  cache,
		client: client,
		pods:   base.JoinPath("api/v1/pods").String(),
		node:   s.Node,
		health: newHealth(cache, s.Logger.With(zap.String("source", "apiserver"), zap.String("url", base.String())), apiRemedy),
	}, nil
}

// Run lists and watches until the context ends; errors are counted, logged and
// outlived.
func (a *APIServer) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { a.cache.sweepUntil(ctx) })
	defer a.client.CloseIdleConnections()
	retry := backoff{min: time.Second, max: 30 * time.Second}
	for {
		began := time.Now()
		err := a.listAndWatch(ctx)
		if ctx.Err() != nil {
			return
		}
		a.health.bad(err)
		if time.Since(began) > time.Minute {
			retry.failures = 0
		}
		if !pause(ctx, retry.next()) {
			return
		}
	}
}

// listAndWatch returns the error that ended it, never nil.
func (a *APIServer) listAndWatch(ctx context.Context) error {
	if err := a.list(ctx); err != nil {
		// Only now, not after a watch: etcd reads all pods of the cluster for a
		// list by node, and after a failure all nodes list.
		a.fresh = isStale(err)
		return err
	}
	for {
		if err := a.watch(ctx); err != nil {
			return err
		}
	}
}

func (a *APIServer) list(ctx context.Context) error {
	// Version "0" is whatever the server has cached; a later list must not go
	// back behind what the watch told, and "" asks etcd.
	version := a.version
	if version == "" {
		version = "0"
	}
	if a.fresh {
		version = ""
	}
	list, err := getList(ctx, a.client, a.query(url.Values{"resourceVersion": {version}}))
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	a.cache.Replace(list.Pods)
	a.version, a.fresh = list.ResourceVersion, false
	if err := list.checkItems(); err != nil {
		a.health.bad(err) // and watch on: the others are fine
		return nil
	}
	a.health.good()
	return nil
}

// isStale tells that the server cannot serve from our version on: 410 for one
// it has forgotten, 504 for one it has not reached (etcd was restored).
func isStale(err error) bool {
	var status *statusError
	return errors.As(err, &status) && (status.code == http.StatusGone || status.code == http.StatusGatewayTimeout)
}

// errShortWatch keeps a server or proxy that ends every watch at once from
// being asked in a tight loop.
var errShortWatch = errors.New("the server ended the watch within a second")

// watch applies events until the server ends the watch in good order.
func (a *APIServer) watch(ctx context.Context) error {
	lasts := spread(10 * time.Minute)
	began := time.Now()
	// A server that falls silent without closing must not hold us for ever.
	ctx, cancel := context.WithTimeout(ctx, lasts+answerTimeout)
	defer cancel()
	stuck := time.AfterFunc(answerTimeout, cancel)
	resp, err := get(ctx, a.client, a.query(url.Values{
		"watch":               {"1"},
		"allowWatchBookmarks": {"true"},
		"resourceVersion":     {a.version},
		"timeoutSeconds":      {strconv.Itoa(int(lasts.Seconds()))},
	}))
	if !stuck.Stop() && err != nil {
		err = fmt.Errorf("no answer within %v: %w", answerTimeout, context.DeadlineExceeded)
	}
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	defer resp.Body.Close()
	if err := a.follow(resp.Body); err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	if time.Since(began) < time.Second {
		return fmt.Errorf("watch pods: %w", errShortWatch)
	}
	return nil
}

// follow applies the events of a watch until its end.
func (a *APIServer) follow(body io.Reader) error {
	bounded := &boundedReader{r: body}
	dec := json.NewDecoder(bounded)
	for {
		bounded.left = maxEventBytes
		event, err := decodeEvent(dec)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.apply(&event); err != nil {
			return err
		}
	}
}

func (a *APIServer) apply(event *watchEvent) error {
	o := &event.object
	switch event.kind {
	case "ADDED", "MODIFIED":
		a.cache.Put(o.pod())
	case "DELETED":
		// The last version may name containers that no earlier event did.
		a.cache.Put(o.pod())
		a.cache.Delete(o.Metadata.UID)
	case "BOOKMARK":
	case "ERROR":
		return event.status
	default:
		return nil // a kind that a later server invents
	}
	a.version = o.Metadata.ResourceVersion
	a.cache.heard()
	return nil
}

func (a *APIServer) query(values url.Values) string {
	values.Set("fieldSelector", "spec.nodeName="+a.node)
	return a.pods + "?" + values.Encode()
}

func apiRemedy(reason Reason) string {
	switch reason {
	case Unauthorized:
		return "the API server does not accept the service account's token: check that it is mounted and not expired"
	case Forbidden:
		return "grant the agent's service account get, list and watch on pods"
	case Timeout, Unreachable:
		return "check that the API server runs and that network policies let the agent reach it, or set source: kubelet"
	}
	return "check that the address is a Kubernetes API server's"
}
