package kubemeta

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// pollInterval is how old the kubelet source's pods are at most. A list of 110
// pods costs about 10 ms of CPU to read (BenchmarkDecodePodList), so this is a
// quarter of a percent of a core. The kubelet lists its pods in random order:
// comparing one answer with the last would save nothing.
const pollInterval = 5 * time.Second

const (
	// maxListBytes bounds a pod list: 500 pods of 64 KiB, while real ones have about 6.
	maxListBytes = 32 << 20
	// answerTimeout bounds the time for it.
	answerTimeout = 30 * time.Second
)

// Kubelet fills a cache from a kubelet's /pods.
type Kubelet struct {
	cache  *Cache
	client *http.Client
	url    string
	health *health
}

// KubeletSettings is what a Kubelet needs.
type KubeletSettings struct {
	// Client carries credentials and trust.
	Client *http.Client
	// URL is that of the pod list, such as https://10.0.0.7:10250/pods.
	URL    string
	Logger *zap.Logger
}

// NewKubelet makes a source; Run runs it.
func NewKubelet(cache *Cache, s KubeletSettings) *Kubelet {
	return &Kubelet{
		cache:  cache,
		client: s.Client,
		url:    s.URL,
		health: newHealth(cache, s.Logger.With(zap.String("source", "kubelet"), zap.String("url", s.URL)), kubeletRemedy),
	}
}

// Run polls until the context ends; errors are counted, logged and outlived.
func (k *Kubelet) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { k.cache.sweepUntil(ctx) })
	defer k.client.CloseIdleConnections()
	retry := kubeapi.Backoff{Min: pollInterval, Max: time.Minute}
	for {
		wait := kubeapi.Spread(pollInterval)
		if err := k.poll(ctx); err == nil {
			retry.Reset()
		} else if ctx.Err() == nil {
			k.health.bad(err)
			wait = retry.Next()
		}
		if !kubeapi.Pause(ctx, wait) {
			return
		}
	}
}

func (k *Kubelet) poll(ctx context.Context) error {
	list, err := k.list(ctx)
	if err != nil {
		return err
	}
	k.cache.Replace(list.Pods)
	if list.Malformed > 0 {
		return malformedItems(list.Malformed)
	}
	k.health.good()
	return nil
}

// list asks for the pods and reads them within answerTimeout.
func (k *Kubelet) list(ctx context.Context) (PodList, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := kubeapi.Get(ctx, k.client, k.url, "application/json")
	if err != nil {
		return PodList{}, err
	}
	defer resp.Body.Close()
	list, err := DecodePodList(&kubeapi.BoundedReader{R: resp.Body, Left: maxListBytes})
	if err != nil {
		return PodList{}, fmt.Errorf("get %s: %w", k.url, err)
	}
	return list, nil
}

// malformedItems tells of items that were not understood whole.
func malformedItems(n int) error {
	return fmt.Errorf("decode pod list: %d of its items: %w", n, kubeapi.ErrMalformed)
}

func kubeletRemedy(reason Reason) string {
	switch reason {
	case kubeapi.Unauthorized:
		return "the kubelet does not accept the token: check kubelet.token_file, and that the kubelet runs with authentication.webhook.enabled"
	case kubeapi.Forbidden:
		return "grant the agent's service account get on nodes/pods (kubelets before 1.33: nodes/proxy)"
	case kubeapi.Timeout, kubeapi.Unreachable:
		return "check kubelet.endpoint, its certificate against kubelet.tls, and that the node's firewall lets the agent reach the kubelet's port"
	}
	return "check that kubelet.endpoint is a kubelet's https address"
}
