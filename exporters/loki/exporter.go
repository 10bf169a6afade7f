package loki

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// logsExporter turns batches into pushes and sees each record to its fate.
type logsExporter struct {
	config     *Config
	settings   exporter.Settings
	url        string
	rules      *rules
	known      *standing
	account    *ledger.Account
	telemetry  *telemetry
	complaints *complaint.Log
	client     *http.Client // set by start
	encoders   sync.Pool    // of *encoder: at most one per push in flight stays in use
}

func newLogsExporter(cfg *Config, set exporter.Settings) (*logsExporter, error) {
	url, err := cfg.pushURL()
	if err != nil {
		return nil, err
	}
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Logs, set.ID.String())
	if err != nil {
		return nil, err
	}
	tel, err := newTelemetry(set.TelemetrySettings, set.ID)
	if err != nil {
		return nil, err
	}
	seed := maphash.MakeSeed()
	return &logsExporter{
		config:     cfg,
		settings:   set,
		url:        url,
		rules:      newRules(cfg, func(key []byte) uint64 { return maphash.Bytes(seed, key) }),
		known:      newStanding(),
		account:    account,
		telemetry:  tel,
		complaints: complaint.New(set.Logger, time.Minute),
		encoders:   sync.Pool{New: func() any { return new(encoder) }},
	}, nil
}

// wrap adds what exporterhelper does: retries, no queue.
func (x *logsExporter) wrap(ctx context.Context, set exporter.Settings) (exporter.Logs, error) {
	logs, err := xexporterhelper.NewLogsRequest(ctx, set, x.newRequest, x.export,
		exporterhelper.WithStart(x.start),
		exporterhelper.WithShutdown(x.shutdown),
		// No time limit over a whole batch: each push has its own (timeout).
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}),
		exporterhelper.WithRetry(x.config.Retry))
	return &wrapped{Logs: logs}, err
}

// wrapped makes Shutdown safe twice; exporterhelper's would panic.
type wrapped struct {
	exporter.Logs
	once sync.Once
}

// Shutdown ends the waiting between retries.
func (w *wrapped) Shutdown(ctx context.Context) (err error) {
	w.once.Do(func() { err = w.Logs.Shutdown(ctx) })
	return err
}

func (x *logsExporter) start(ctx context.Context, host component.Host) error {
	client, err := x.config.ClientConfig.ToClient(ctx, host.GetExtensions(), x.settings.TelemetrySettings)
	if err != nil {
		return fmt.Errorf("make HTTP client for %s: %w", x.url, err)
	}
	// A redirected POST becomes a GET, whose 200 would look like an
	// acknowledgement.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	x.client = client
	return nil
}

func (x *logsExporter) shutdown(context.Context) error {
	if x.client != nil {
		x.client.CloseIdleConnections()
	}
	return nil
}

// newRequest groups the records; it keeps references to ld, which stays
// unchanged until ConsumeLogs returns.
func (x *logsExporter) newRequest(_ context.Context, ld plog.Logs) (xexporterhelper.Request, error) {
	enc := x.encoders.Get().(*encoder)
	defer x.encoders.Put(enc)
	now := time.Now()
	g := newGrouper(x.rules, enc, now)
	g.add(ld)
	return &batch{lanes: g.lanes(x.known, now), records: ld.LogRecordCount()}, nil
}

// export is called by exporterhelper until it returns nil, which means that
// Loki acknowledged each record or refused it for good.
func (x *logsExporter) export(ctx context.Context, req xexporterhelper.Request) error {
	b := req.(*batch)
	var failed error
	for i := range b.lanes {
		// A tenant that is over its limit does not hold up the others.
		if err := x.clear(ctx, &b.lanes[i], &b.tally); err != nil && failed == nil {
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if failed != nil {
		return failed
	}
	x.settle(&b.tally)
	return nil
}

// clear pushes the pieces of a lane in order; those not yet settled stay in it.
// A stream that Loki does not take for now does not hold up the others, but no
// later piece of it goes before the one that waits.
func (x *logsExporter) clear(ctx context.Context, l *lane, t *tally) (failed error) {
	var waiting []piece
	defer func() { l.todo = append(waiting, l.todo...) }()
	for len(l.todo) > 0 {
		p := l.todo[0]
		if waits(waiting, p) {
			waiting, l.todo = append(waiting, p), l.todo[1:]
			continue
		}
		next, err := x.try(ctx, l.tenant, p, t)
		var one *streamError
		switch {
		case errors.As(err, &one):
			waiting, l.todo, failed = append(waiting, p), l.todo[1:], err
		case err != nil:
			return err
		default:
			l.todo = append(next, l.todo[1:]...)
		}
	}
	return failed
}

// streamError is Loki's answer that it does not take a push of one stream for now.
type streamError struct{ cause error }

func (e *streamError) Error() string { return e.cause.Error() }
func (e *streamError) Unwrap() error { return e.cause }

// waits tells whether an earlier piece of p's stream waits; pieces of several
// streams never do.
func waits(waiting []piece, p piece) bool {
	return len(p.runs) == 1 && slices.ContainsFunc(waiting, func(w piece) bool { return w.runs[0].stream == p.runs[0].stream })
}

// settle writes a batch's fate to the ledger, once.
func (x *logsExporter) settle(t *tally) {
	x.account.Delivered(t.delivered)
	for reason, n := range t.dropped {
		x.account.Dropped(n, reason)
	}
	x.telemetry.cut(t.cuts)
}

// try pushes the beginning of a piece that fits a request. It returns what has
// to be pushed in its place, or an error if the piece must be tried again.
func (x *logsExporter) try(ctx context.Context, tenant string, p piece, t *tally) ([]piece, error) {
	r, left := x.encode(p)
	answer, err := x.push(ctx, tenant, r.body)
	var next []piece
	if err == nil {
		next, err = x.follow(tenant, r, p, answer, t)
	}
	if err != nil {
		x.telemetry.retried()
		return nil, err
	}
	if len(left) > 0 {
		p.runs = left
		next = append(next, p)
	}
	return next, nil
}

// request is an encoded push.
type request struct {
	runs []run
	body []byte // compressed
	size int    // before compression
	cuts cuts
}

// encode makes a request of the beginning of a piece and returns what is left.
// The encoder is free again while Loki works.
func (x *logsExporter) encode(p piece) (r request, left []run) {
	enc := x.encoders.Get().(*encoder)
	defer x.encoders.Put(enc)
	r.runs, left = enc.encode(p.runs, p.limits)
	r.body, r.size, r.cuts = enc.compress(), len(enc.buf), enc.cuts
	return r, left
}

// follow acts on Loki's answer to a push of the beginning of p.
func (x *logsExporter) follow(tenant string, r request, p piece, a answer, t *tally) ([]piece, error) {
	what, advice := judge(a.code, a.header, a.body)
	switch what {
	case accepted:
		t.delivered += entryCount(r.runs)
		t.cuts.add(r.cuts)
		x.acknowledge(r.runs, r.size)
		x.complaints.Over("status", "Loki takes pushes again")
		return nil, nil
	case refused:
		return x.explain(tenant, r.runs, p, readRefusal(a.code, a.body, time.Now()), t), nil
	case tooLarge:
		if entryCount(r.runs) == 1 {
			x.drop(tenant, r.runs[0], reasonTooLarge, a.brief(), t)
			return nil, nil
		}
		x.telemetry.bisected()
		return split(r.runs, p), nil
	case streamBusy:
		return x.wait(tenant, r.runs, p, a, advice)
	case misled:
		// The advice may quote a header; the code is one of few.
		x.complaints.Error("status/"+strconv.Itoa(a.code), "Loki refuses every push; logs are kept back until this is changed",
			zap.String("change", advice), zap.String("url", x.url), zap.String("tenant", tenant),
			zap.Int("code", a.code), zap.String("answer", a.brief()))
		return nil, fmt.Errorf("push to %s: %s: %w", x.url, advice, a.error())
	}
	return nil, a.busy(x.url, time.Now())
}

// wait keeps back the stream that Loki does not take for now; of several it is
// first found out which.
func (x *logsExporter) wait(tenant string, runs []run, p piece, a answer, advice string) ([]piece, error) {
	if len(runs) > 1 {
		return x.separate(runs, p), nil
	}
	if advice != "" {
		x.complaints.Error("stream_limit", "Loki takes no more streams; their logs are kept back until this is changed",
			zap.String("change", advice), zap.String("stream", runs[0].stream.labels), zap.String("tenant", tenant),
			zap.Int("code", a.code), zap.String("answer", a.brief()))
	}
	return nil, &streamError{a.busy(x.url, time.Now())}
}

// acknowledge notes which streams Loki has; the request's size is shared out
// by entries, which is near enough to tell loud streams.
func (x *logsExporter) acknowledge(runs []run, size int) {
	now, entries := time.Now(), entryCount(runs)
	for _, r := range runs {
		x.known.acknowledged(r.stream.key, size*len(r.entries)/entries, now)
	}
}

// drop gives up entries that Loki refused for good.
func (x *logsExporter) drop(tenant string, r run, reason, text string, t *tally) {
	if len(r.entries) == 0 {
		return
	}
	t.drop(len(r.entries), reason)
	x.known.forget(r.stream.key)
	x.complaints.Error(reason, "Loki refused log records for good; they are dropped",
		zap.String("reason", reason), zap.Int("records", len(r.entries)), zap.String("stream", r.stream.labels),
		zap.Time("oldest", time.Unix(0, r.entries[0].timestamp)), zap.String("tenant", tenant), zap.String("answer", text))
}
