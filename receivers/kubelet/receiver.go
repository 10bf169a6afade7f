package kubelet

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/cadence"
	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// kubeletReceiver owns one goroutine per page.
type kubeletReceiver struct {
	cfg       *Config
	settings  receiver.Settings
	next      consumer.Metrics
	account   *ledger.Account
	telemetry *telemetry

	cancel  context.CancelFunc
	running sync.WaitGroup
	clients []*http.Client
}

func newReceiver(cfg *Config, set receiver.Settings, next consumer.Metrics) (*kubeletReceiver, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Metrics, set.ID.String())
	if err != nil {
		return nil, err
	}
	t, err := newTelemetry(set.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	return &kubeletReceiver{cfg: cfg, settings: set, next: next, account: account, telemetry: t}, nil
}

// Start begins to scrape; each page first at its phase, so up to one interval
// later. A kubelet that cannot be reached is no error: it may come.
func (r *kubeletReceiver) Start(ctx context.Context, host component.Host) error {
	base, err := url.Parse(r.cfg.Client.Endpoint)
	if err != nil {
		return fmt.Errorf("parse endpoint: %w", err)
	}
	endpoints := make([]*endpoint, len(r.cfg.Paths))
	for i, path := range r.cfg.Paths {
		client, err := r.client(ctx, host)
		if err != nil {
			return fmt.Errorf("make HTTP client for %s: %w", r.cfg.Client.Endpoint, err)
		}
		r.clients = append(r.clients, client)
		endpoints[i] = r.endpoint(base, path, client)
	}
	// ctx ends with Start; the scrapes last until Shutdown.
	scraping, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	whole := cadence.Of(base.Host, r.cfg.CollectionInterval)
	for i, e := range endpoints {
		r.running.Go(func() { whole.Part(i, len(endpoints)).Run(scraping, e.scrape) })
	}
	return nil
}

// client makes a client, thus a connection, for one page: on a shared one
// (HTTP/2) a page that is stuck could hold up the others.
func (r *kubeletReceiver) client(ctx context.Context, host component.Host) (*http.Client, error) {
	// Without a tracer confighttp leaves the bare transport, whose idle
	// connections can be closed. A trace of each scrape would tell nobody
	// anything that the telemetry does not.
	set := r.settings.TelemetrySettings
	set.TracerProvider = nil
	client, err := r.cfg.Client.ToClient(ctx, host.GetExtensions(), set)
	if err != nil {
		return nil, err
	}
	// The token is for the kubelet and for nobody it may refer to.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

func (r *kubeletReceiver) endpoint(base *url.URL, path string, client *http.Client) *endpoint {
	logger := r.settings.Logger.With(zap.String("endpoint", r.cfg.Client.Endpoint), zap.String("path", path))
	return &endpoint{
		instance: base.Host,
		path:     path,
		fetcher: fetcher{
			url:       strings.TrimSuffix(r.cfg.Client.Endpoint, "/") + path,
			client:    client,
			tokenFile: r.cfg.TokenFile,
			timeout:   r.cfg.scrapeTimeout(),
			maxBytes:  r.cfg.MaxBodyBytes,
			protobuf:  r.cfg.NativeHistograms,
		},
		page:       newPage(r.cfg.MaxSeries, newFilter(r.cfg.Keep, r.cfg.Drop)),
		next:       r.next,
		account:    r.account,
		telemetry:  r.telemetry,
		complaints: complaint.New(logger, complaint.Interval),
	}
}

// Shutdown breaks off scrapes in flight and waits for their end.
func (r *kubeletReceiver) Shutdown(context.Context) error {
	if r.cancel != nil {
		r.cancel()
	}
	r.running.Wait()
	for _, client := range r.clients {
		client.CloseIdleConnections()
	}
	return nil
}
