package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// errShutdown ends what is still being sent; its caller keeps the data.
var errShutdown = errors.New("prometheus exporter is shutting down")

// metricsExporter translates, keeps the series table and sends.
type metricsExporter struct {
	cfg     *Config
	set     exporter.Settings
	account *ledger.Account
	tel     *telemetry
	table   *table
	// translators keep their memory from one batch to the next.
	translators sync.Pool

	remote *remoteWriter // nil without remote_write
	server *http.Server  // nil without scrape
	addr   net.Addr      // of the page

	stopping context.Context // ends with Shutdown
	stop     context.CancelCauseFunc
	wg       sync.WaitGroup
	marking  sync.Mutex // held while the store is told of series that ended
}

func newExporter(ctx context.Context, set exporter.Settings, cfg *Config) (exporter.Metrics, error) {
	e, err := newMetricsExporter(set, cfg)
	if err != nil {
		return nil, err
	}
	// Retry and time limits are this exporter's own, as a sample that waits for
	// its retry must keep later ones of its series waiting.
	return exporterhelper.NewMetrics(ctx, set, cfg, e.consume,
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		exporterhelper.WithStart(e.start),
		exporterhelper.WithShutdown(e.shutdown),
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}),
		exporterhelper.WithRetry(configretry.BackOffConfig{Enabled: false}),
	)
}

func newMetricsExporter(set exporter.Settings, cfg *Config) (*metricsExporter, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Metrics, set.ID.String())
	if err != nil {
		return nil, err
	}
	t := newTable(cfg.MaxBytes, cfg.ExpireAfter)
	t.waits = cfg.RemoteWrite.HasValue()
	tel, err := newTelemetry(set.TelemetrySettings, set.ID.String(), t)
	if err != nil {
		return nil, err
	}
	return &metricsExporter{
		cfg: cfg, set: set, account: account, tel: tel, table: t,
		translators: sync.Pool{New: func() any { return newTranslator() }},
	}, nil
}

func (e *metricsExporter) start(ctx context.Context, host component.Host) error {
	e.stopping, e.stop = context.WithCancelCause(context.Background())
	if c := e.cfg.RemoteWrite.Get(); c != nil {
		if err := e.startRemoteWrite(ctx, host, c); err != nil {
			return err
		}
	}
	if e.cfg.Scrape.HasValue() {
		if err := e.startPage(ctx, host); err != nil {
			return err
		}
	}
	e.wg.Go(e.expireLoop)
	return nil
}

func (e *metricsExporter) startRemoteWrite(ctx context.Context, host component.Host, cfg *RemoteWriteConfig) error {
	own := cfg.HTTP
	own.Headers = slices.Clone(own.Headers)
	if _, ok := own.Headers.Get("User-Agent"); !ok {
		b := e.set.BuildInfo
		own.Headers.Set("User-Agent", configopaque.String(fmt.Sprintf("%s/%s (%s/%s)", b.Command, b.Version, runtime.GOOS, runtime.GOARCH)))
	}
	// Go keeps two idle connections per host unless told otherwise; each shard wants its own.
	//lint:ignore SA1019 Unmarshal folds the keepalive section into this field, which ToClient reads
	own.MaxIdleConnsPerHost = max(own.MaxIdleConnsPerHost, cfg.Shards)
	client, err := own.ToClient(ctx, host.GetExtensions(), e.set.TelemetrySettings)
	if err != nil {
		return fmt.Errorf("make HTTP client for %s: %w", own.Endpoint, err)
	}
	e.remote = newRemoteWriter(cfg, client, e.tel)
	return nil
}

func (e *metricsExporter) startPage(ctx context.Context, host component.Host) error {
	cfg := e.cfg.Scrape.Get()
	listener, err := cfg.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("listen on scrape::endpoint %s: %w", cfg.NetAddr.Endpoint, err)
	}
	e.server, err = cfg.ToServer(ctx, host.GetExtensions(), e.set.TelemetrySettings, newPage(e.table, e.tel))
	if err != nil {
		return errors.Join(fmt.Errorf("make HTTP server for %s: %w", cfg.NetAddr.Endpoint, err), listener.Close())
	}
	e.addr = listener.Addr()
	e.wg.Go(func() {
		if err := e.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			e.set.Logger.Error("The page to scrape is gone; Prometheus gets no metrics from it until a restart.",
				zap.Stringer("address", e.addr), zap.Error(err))
		}
	})
	return nil
}

// shutdown ends requests in flight; their senders get an error and keep the data.
func (e *metricsExporter) shutdown(ctx context.Context) error {
	if e.stop != nil {
		e.stop(errShutdown)
	}
	var err error
	if e.server != nil {
		if err = e.server.Shutdown(ctx); err != nil {
			err = errors.Join(fmt.Errorf("stop page to scrape: %w", err), e.server.Close())
		}
	}
	e.wg.Wait()
	if e.remote != nil {
		e.remote.closeIdle()
	}
	e.tel.shutdown()
	return err
}

// consume answers nil when the fate of every data point is decided. With any
// error the sender keeps the data, and nothing of it was counted.
func (e *metricsExporter) consume(ctx context.Context, md pmetric.Metrics) error {
	now := time.Now()
	t := e.translators.Get().(*translator)
	defer e.translators.Put(t)
	b := t.translate(md, now.UnixMilli())
	changed := e.table.update(b, now)
	e.tel.conflicting(changed)
	if e.remote != nil {
		for i := range b.points {
			if p := &b.points[i]; p.refused != "" {
				e.tel.untrackedPoint(p)
				p.refused = "" // remote write decides
			}
		}
		if err := e.send(ctx, b.points, changed.metadata); err != nil {
			return err
		}
	}
	e.settle(b)
	return nil
}

// send ends with the caller's context or with Shutdown, whichever is first.
func (e *metricsExporter) send(ctx context.Context, points []point, metadata []*family) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.stopping, func() { cancel(errShutdown) })()
	return e.remote.write(ctx, points, metadata)
}

// settle writes the ledger for a batch whose fate is decided.
func (e *metricsExporter) settle(b *batch) {
	delivered := b.items
	for reason, n := range b.dropped {
		e.tel.untranslated(reason, n)
	}
	for i := range b.points {
		p := &b.points[i]
		if p.refused == "" || p.derived {
			continue
		}
		if e.remote == nil {
			e.tel.untrackedPoint(p)
		}
		b.drop(p.refused, 1)
	}
	for reason, n := range b.dropped {
		delivered -= n
		e.account.Dropped(n, reason)
	}
	e.account.Delivered(delivered)
}

// maxExpireTick is how late a series may end at most, beyond its two intervals.
const maxExpireTick = 2 * time.Second

const (
	// maxMarkers bounds the markers under way of series whose agent came back
	// without them; further ones wait in the table.
	maxMarkers = 10_000
	// markersTimeout: of what a store did not take by then Prometheus' lookback
	// takes care.
	markersTimeout = time.Minute
)

// expireLoop forgets series that stopped coming.
func (e *metricsExporter) expireLoop() {
	ticker := time.NewTicker(min(maxExpireTick, max(e.cfg.ExpireAfter/20, 100*time.Millisecond)))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			e.expire(now)
		case <-e.stopping.Done():
			return
		}
	}
}

// expire ends what is overdue. The store is told in the background: one that does
// not answer must not keep series on the page.
func (e *metricsExporter) expire(now time.Time) {
	if !e.marking.TryLock() {
		e.table.expire(now, 0)
		return
	}
	markers := e.table.expire(now, maxMarkers)
	if len(markers) == 0 {
		e.marking.Unlock()
		return
	}
	e.wg.Go(func() {
		defer e.marking.Unlock()
		ctx, cancel := context.WithTimeout(e.stopping, markersTimeout)
		defer cancel()
		if err := e.remote.write(ctx, markers, nil); err != nil && e.stopping.Err() == nil {
			e.set.Logger.Warn("Store was not told that series ended while their agent was away; it shows them for five minutes more.",
				zap.Int("data_points", len(markers)), zap.Error(err))
		}
	})
}
