package kubemeta

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// APIServer fills a cache from the API server: one list of a node's pods, then
// a watch. It is its reader's handler. Pods are asked for in JSON and decoded
// into what identity needs, which keeps k8s.io/api out of the binary.
type APIServer struct {
	cache  *Cache
	reader kubeapi.Reader
	health *health

	listing   bool
	listed    []*Pod
	malformed int // items of the list
}

// APIServerSettings is what an APIServer needs.
type APIServerSettings struct {
	// Config says where the server is and who we are, see kubeapi.ClusterConfig.
	Config *rest.Config
	// Node is the node whose pods are watched.
	Node   string
	Logger *zap.Logger
}

// NewAPIServer makes a source; Run runs it. It connects to nothing yet.
func NewAPIServer(cache *Cache, s APIServerSettings) (*APIServer, error) {
	client, base, err := kubeapi.Connect(s.Config)
	if err != nil {
		return nil, err
	}
	return &APIServer{
		cache: cache,
		reader: kubeapi.Reader{
			Client:   client,
			URL:      base.JoinPath("api/v1/pods").String(),
			Resource: "pods",
			Selector: "spec.nodeName=" + s.Node,
			Encoding: kubeapi.AsJSON,
		},
		health: newHealth(cache, s.Logger.With(zap.String("source", "apiserver"), zap.String("url", base.String())), apiRemedy),
	}, nil
}

// Run lists and watches until the context ends; errors are counted, logged and
// outlived.
func (a *APIServer) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { a.cache.sweepUntil(ctx) })
	defer a.reader.Client.CloseIdleConnections()
	a.reader.Handler = a
	a.reader.Run(ctx)
}

// Begin begins a list.
func (a *APIServer) Begin() { a.listing, a.listed, a.malformed = true, nil, 0 }

// End makes the cache like the list.
func (a *APIServer) End(string) error {
	a.cache.Replace(a.listed)
	a.listing, a.listed = false, nil
	return nil
}

// Put takes a pod as it is now. Of one that was not understood whole the rest
// counts.
func (a *APIServer) Put(data []byte) (version string) {
	var o podObject
	err := json.Unmarshal(data, &o)
	switch {
	case a.listing && err != nil:
		a.malformed++
	case err != nil:
		a.health.bad(fmt.Errorf("decode watched pod: %w: %w", kubeapi.ErrMalformed, err))
		return ""
	}
	switch {
	case !a.listing:
		a.cache.Put(o.pod())
		a.cache.heard()
	case o.Metadata.UID != "":
		a.listed = append(a.listed, o.pod())
	}
	return o.Metadata.ResourceVersion
}

// Delete takes one that is gone: its last version may name containers that no
// earlier event did.
func (a *APIServer) Delete(data []byte) (version string) {
	var o podObject
	if err := json.Unmarshal(data, &o); err != nil {
		a.health.bad(fmt.Errorf("decode deleted pod: %w: %w", kubeapi.ErrMalformed, err))
		return ""
	}
	a.cache.Put(o.pod())
	a.cache.Delete(o.Metadata.UID)
	a.cache.heard()
	return o.Metadata.ResourceVersion
}

// Bookmark tells that the server is there.
func (a *APIServer) Bookmark(string) { a.cache.heard() }

// Listed ends a time of failures, if all pods were understood. Errors come to
// Failed.
func (a *APIServer) Listed(err error) {
	a.listing = false
	switch {
	case err != nil:
	case a.malformed > 0:
		a.health.bad(malformedItems(a.malformed)) // and watch on: the others are fine
	default:
		a.health.good()
	}
}

// Watched has nothing to tell: errors come to Failed.
func (a *APIServer) Watched(error) {}

// Failed counts and logs an error.
func (a *APIServer) Failed(err error, usual time.Duration) time.Duration {
	a.health.bad(err)
	return usual
}

func apiRemedy(reason Reason) string {
	switch reason {
	case kubeapi.Unauthorized:
		return "the API server does not accept the service account's token: check that it is mounted and not expired"
	case kubeapi.Forbidden:
		return "grant the agent's service account get, list and watch on pods"
	case kubeapi.Timeout, kubeapi.Unreachable:
		return "check that the API server runs and that network policies let the agent reach it, or set source: kubelet"
	}
	return "check that the address is a Kubernetes API server's"
}
