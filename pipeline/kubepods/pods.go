package kubepods

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// pods is the extension.
type pods struct {
	set   extension.Settings
	cfg   *Config
	cache *kubemeta.Cache

	telemetry *telemetry // nil until Start
	cancel    context.CancelFunc
	wg        sync.WaitGroup
}

func newPods(set extension.Settings, cfg *Config) *pods {
	return &pods{set: set, cfg: cfg, cache: kubemeta.NewCache()}
}

// Cache is where the pods are found; it is the same one for the life of the extension.
func (p *pods) Cache() *kubemeta.Cache { return p.cache }

// source fills a cache until its context ends.
type source interface {
	Run(ctx context.Context)
}

// Start begins to read pods and returns at once.
func (p *pods) Start(ctx context.Context, host component.Host) error {
	src, err := p.newSource(ctx, host)
	if err != nil {
		return err
	}
	if p.telemetry, err = newTelemetry(p.set.MeterProvider, p.set.ID.String(), p.cache); err != nil {
		return err
	}
	if src == nil {
		p.cache.Disable()
		return nil
	}
	// Reading outlives the context of Start, which ends with it.
	run, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.wg.Go(func() { src.Run(run) })
	return nil
}

// Shutdown stops reading; lookups go on answering.
func (p *pods) Shutdown(context.Context) error {
	if p.cancel != nil {
		p.cancel()
	}
	p.wg.Wait()
	return p.telemetry.stop()
}

// newSource returns nil when there is none.
func (p *pods) newSource(ctx context.Context, host component.Host) (source, error) {
	switch p.cfg.Source {
	case sourceKubelet:
		return p.newKubelet(ctx, host)
	case sourceAPIServer:
		return p.newAPIServer(kubeapi.ClusterConfig(p.cfg.Kubeconfig))
	}
	return nil, nil
}

// newAPIServer takes what ClusterConfig returned.
func (p *pods) newAPIServer(config *rest.Config, err error) (source, error) {
	switch {
	case errors.Is(err, kubeapi.ErrNotInCluster):
		p.set.Logger.Warn("Not in a cluster: identity comes from paths and resources only; set source: none to silence this, or kubeconfig to watch a cluster from outside")
		return nil, nil
	case err != nil && p.cfg.Kubeconfig == "":
		// In a cluster, but without a usable service account; data is worth more than its labels.
		p.set.Logger.Error("No service account to read pods with: identity comes from paths and resources only; "+
			"set automountServiceAccountToken: true for the agent, or source: kubelet or none", zap.Error(err))
		return nil, nil
	case err != nil:
		return nil, err
	case p.cfg.Node == "":
		return nil, errors.New("node: is empty, must be this node's name: set K8S_NODE_NAME from the pod's spec.nodeName")
	}
	config.UserAgent = p.set.BuildInfo.Command + "/" + p.set.BuildInfo.Version
	return kubemeta.NewAPIServer(p.cache, kubemeta.APIServerSettings{
		Config: config,
		Node:   p.cfg.Node,
		Logger: p.set.Logger,
	})
}

func (p *pods) newKubelet(ctx context.Context, host component.Host) (source, error) {
	cfg := &p.cfg.Kubelet
	client, err := cfg.ClientConfig.ToClient(ctx, host.GetExtensions(), p.set.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("make kubelet client: %w", err)
	}
	if cfg.TokenFile != "" {
		client.Transport = &bearer{file: cfg.TokenFile, next: client.Transport}
	}
	return kubemeta.NewKubelet(p.cache, kubemeta.KubeletSettings{
		Client: client,
		URL:    strings.TrimSuffix(cfg.ClientConfig.Endpoint, "/") + "/pods",
		Logger: p.set.Logger,
	}), nil
}

// bearer adds a token to each request. The file is read each time: that is
// once in seconds, and service account tokens rotate.
type bearer struct {
	file string
	next http.RoundTripper
}

// RoundTrip refuses the request when there is no token, since the answer could only be 401.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := os.ReadFile(b.file)
	if err != nil {
		return nil, fmt.Errorf("read kubelet token: %w", err)
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return b.next.RoundTrip(req)
}

// CloseIdleConnections lets http.Client reach the transport below.
func (b *bearer) CloseIdleConnections() {
	if closer, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
