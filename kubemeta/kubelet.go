package kubemeta

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// pollInterval is how old the kubelet source's pods are at most. A list of 110
// pods costs about 10 ms of CPU to read (BenchmarkDecodePodList), so this is a
// quarter of a percent of a core. The kubelet lists its pods in random order:
// comparing one answer with the last would save nothing.
const pollInterval = 5 * time.Second

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
	retry := backoff{min: pollInterval, max: time.Minute}
	for {
		wait := spread(pollInterval)
		if err := k.poll(ctx); err == nil {
			retry.failures = 0
		} else if ctx.Err() == nil {
			k.health.bad(err)
			wait = retry.next()
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

func (k *Kubelet) poll(ctx context.Context) error {
	list, err := getList(ctx, k.client, k.url)
	if err != nil {
		return err
	}
	k.cache.Replace(list.Pods)
	if err := list.checkItems(); err != nil {
		return err
	}
	k.health.good()
	return nil
}

func kubeletRemedy(reason Reason) string {
	switch reason {
	case Unauthorized:
		return "the kubelet does not accept the token: check kubelet.token_file, and that the kubelet runs with authentication.webhook.enabled"
	case Forbidden:
		return "grant the agent's service account get on nodes/pods (kubelets before 1.33: nodes/proxy)"
	case Timeout, Unreachable:
		return "check kubelet.endpoint, its certificate against kubelet.tls, and that the node's firewall lets the agent reach the kubelet's port"
	}
	return "check that kubelet.endpoint is a kubelet's https address"
}
