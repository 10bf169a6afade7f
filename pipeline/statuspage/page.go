package statuspage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/pdata/plog"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// shutdownTimeout is how long requests under way may go on.
const shutdownTimeout = 5 * time.Second

// Page is the extension. The taps hand it what passes.
type Page struct {
	set     extension.Settings
	config  *Config
	replica Replica

	roster   *roster
	presence *presence
	flows    map[ledger.Signal]*flow
	tails    *tails
	access   *access
	peers    *peers
	alerts   *alertSource

	server *http.Server
	wg     sync.WaitGroup
}

func newPage(set extension.Settings, cfg *Config) *Page {
	name := cfg.Replica
	if name == "" {
		name = set.BuildInfo.Command
	}
	return &Page{
		set: set, config: cfg,
		replica:  Replica{ID: rand.Text(), Name: name, Version: set.BuildInfo.Version},
		roster:   newRoster(),
		presence: newPresence(),
		flows:    map[ledger.Signal]*flow{ledger.Logs: {}, ledger.Metrics: {}, ledger.Traces: {}},
		tails:    newTails(),
	}
}

// Start begins to serve.
func (p *Page) Start(ctx context.Context, host component.Host) error {
	var err error
	if p.access, err = newAccess(p.config); err != nil {
		return err
	}
	if err := p.startClients(ctx, host); err != nil {
		return err
	}
	set := p.set.TelemetrySettings
	// Its metrics would have the Host header, which is anyone's choice, for a label.
	set.MeterProvider, set.TracerProvider = metricnoop.NewMeterProvider(), tracenoop.NewTracerProvider()
	if p.server, err = p.config.Server.ToServer(ctx, host.GetExtensions(), set, p.handler()); err != nil {
		return fmt.Errorf("make status page: %w", err)
	}
	listener, err := p.config.Server.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("listen for status page: %w", err)
	}
	p.set.Logger.Info("status page is served", zap.String("endpoint", listener.Addr().String()), zap.Bool("token", p.config.TokenFile != ""))
	p.wg.Go(func() {
		if err := p.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			p.set.Logger.Error("status page ended; the pipelines go on without it", zap.Error(err))
		}
	})
	return nil
}

// startClients makes the clients of peers and Prometheus, if there are any.
func (p *Page) startClients(ctx context.Context, host component.Host) error {
	if endpoint := p.config.Peers.Endpoint; endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil {
			return fmt.Errorf("parse peers.endpoint: %w", err)
		}
		config := p.config.Peers
		if config.TLS.ServerName == "" {
			config.TLS.ServerName = u.Hostname() // they are asked by address
		}
		client, err := p.client(ctx, host, config)
		if err != nil {
			return fmt.Errorf("make client of peers: %w", err)
		}
		p.peers = &peers{client: client, endpoint: u, token: p.access.token, self: p.replica.ID}
	}
	if endpoint := p.config.Prometheus.Endpoint; endpoint != "" {
		client, err := p.client(ctx, host, p.config.Prometheus)
		if err != nil {
			return fmt.Errorf("make client of Prometheus: %w", err)
		}
		p.alerts = &alertSource{client: client, endpoint: endpoint}
	}
	return nil
}

func (p *Page) client(ctx context.Context, host component.Host, config confighttp.ClientConfig) (*http.Client, error) {
	client, err := config.ToClient(ctx, host.GetExtensions(), p.set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

// Shutdown ends the tails, then the server.
func (p *Page) Shutdown(ctx context.Context) error {
	p.tails.close()
	var err error
	if p.server != nil {
		ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
		if err = p.server.Shutdown(ctx); err != nil {
			err = errors.Join(err, p.server.Close())
		}
	}
	p.wg.Wait()
	if p.peers != nil {
		p.peers.client.CloseIdleConnections()
	}
	if p.alerts != nil {
		p.alerts.client.CloseIdleConnections()
	}
	return err
}

func (p *Page) seeLogs(ld plog.Logs, now time.Time) {
	if node := nodeOf(ld); node != "" {
		p.presence.see(node, now)
	}
	if p.tails.active() {
		p.tails.offer(ld)
	}
}

// local is what this replica has seen.
func (p *Page) local(now time.Time) Status {
	s := p.roster.snapshot(now)
	s.Replicas = []Replica{p.replica}
	known := make(map[string]int, len(s.Agents))
	for i, a := range s.Agents {
		known[a.Name] = i
	}
	for node, at := range p.presence.times(now) {
		i, ok := known[node]
		if !ok {
			i = len(s.Agents)
			s.Agents = append(s.Agents, Program{Name: node, Signals: []Tally{}})
		}
		s.Agents[i].LastSeen = later(s.Agents[i].LastSeen, at)
	}
	for _, signal := range signalNames {
		s.Deliveries = append(s.Deliveries, p.flows[ledger.Signal(signal)].delivery(p.replica.Name, signal))
	}
	return s
}

// status is what all replicas have seen.
func (p *Page) status(ctx context.Context) Status {
	now := time.Now()
	s := p.local(now)
	s.Partial = p.peers == nil
	for _, other := range p.peers.ask(ctx) {
		s.Replicas = append(s.Replicas, other.Replicas...)
		s.merge(other)
	}
	s.Alerts = p.alerts.ask(ctx)
	s.derive(time.Now())
	return s
}
