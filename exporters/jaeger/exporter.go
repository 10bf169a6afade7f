package jaeger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// reasonTooLarge: a single span is over the limit of a gRPC message.
const reasonTooLarge = "too_large"

// message is one request, in the form of one of the two protocols.
type message interface {
	spans() int
	bytes() int // marshalled
	// send returns how many spans Jaeger refused although it took the request,
	// and why.
	send(context.Context, *grpc.ClientConn) (rejected int, reason string, err error)
	// halves needs two or more spans.
	halves() (message, message)
}

// delivery is the progress of one ConsumeTraces call through its retries. The
// tallies go to the ledger only when the call ends well: else the sender sends
// the same spans again.
type delivery struct {
	pending   []message // the last one goes next
	delivered int
	dropped   map[string]int
}

type deliveryKey struct{}

// traces is the exporter. The embedded one is exporterhelper's, which calls
// push and retries it.
type traces struct {
	exporter.Traces
	cfg      *Config
	settings component.TelemetrySettings
	agent    string // user agent
	messages func(td ptrace.Traces, limit int) []message

	account    *ledger.Account
	telemetry  *telemetry
	complaints *complaint.Log

	conn *grpc.ClientConn
	stop sync.Once
}

func newTraces(ctx context.Context, set exporter.Settings, cfg *Config) (*traces, error) {
	t := &traces{
		cfg:        cfg,
		settings:   set.TelemetrySettings,
		agent:      set.BuildInfo.Command + "/" + set.BuildInfo.Version,
		messages:   otlpMessages,
		complaints: complaint.New(set.Logger, time.Minute),
	}
	if cfg.Protocol == protocolAPIv2 {
		t.messages = batchMessages
	}
	var err error
	if t.account, err = ledger.NewAccount(set.MeterProvider, ledger.Traces, set.ID.String()); err != nil {
		return nil, err
	}
	if t.telemetry, err = newTelemetry(set.MeterProvider, set.ID.String()); err != nil {
		return nil, err
	}
	t.Traces, err = exporterhelper.NewTraces(ctx, set, cfg, t.push,
		exporterhelper.WithStart(t.connect),
		exporterhelper.WithShutdown(t.disconnect),
		exporterhelper.WithRetry(cfg.RetryConfig),
		// Of one request and not of all that a call needs: push sets it.
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{}),
	)
	if err != nil {
		return nil, fmt.Errorf("make exporter: %w", err)
	}
	return t, nil
}

func (t *traces) connect(ctx context.Context, host component.Host) error {
	// gRPC's own wait before it connects again grows to two minutes.
	reconnect := grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 15 * time.Second},
		MinConnectTimeout: 10 * time.Second,
	})
	conn, err := t.cfg.ClientConfig.ToClientConn(ctx, host.GetExtensions(), t.settings,
		configgrpc.WithGrpcDialOption(grpc.WithUserAgent(t.agent)),
		configgrpc.WithGrpcDialOption(reconnect))
	if err != nil {
		return fmt.Errorf("connect to jaeger at %s: %w", t.cfg.ClientConfig.Endpoint, err)
	}
	t.conn = conn
	return nil
}

func (t *traces) disconnect(context.Context) error {
	if t.conn == nil {
		return nil
	}
	return t.conn.Close()
}

// Shutdown ends requests that are open; their callers get an error that is not
// permanent. exporterhelper's own may be called once only.
func (t *traces) Shutdown(ctx context.Context) error {
	var err error
	t.stop.Do(func() { err = t.Traces.Shutdown(ctx) })
	return err
}

// ConsumeTraces returns nil when every span is either with Jaeger or refused by
// it and counted as dropped.
func (t *traces) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	d := &delivery{pending: t.messages(td, maxMessageBytes), dropped: map[string]int{}}
	if err := t.Traces.ConsumeTraces(context.WithValue(ctx, deliveryKey{}, d), td); err != nil {
		return err
	}
	t.account.Delivered(d.delivered)
	for reason, n := range d.dropped {
		t.account.Dropped(n, reason)
	}
	return nil
}

// push sends what is pending of the delivery in ctx; its data were made into
// messages before, so that a retry goes on where the last one stopped.
func (t *traces) push(ctx context.Context, _ ptrace.Traces) error {
	if t.conn == nil {
		return errors.New("export spans: exporter is not started")
	}
	d, _ := ctx.Value(deliveryKey{}).(*delivery)
	for len(d.pending) > 0 {
		if err := t.sendNext(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (t *traces) sendNext(ctx context.Context, d *delivery) error {
	last := len(d.pending) - 1
	m := d.pending[last]
	if m.spans() == 1 && m.bytes() > maxMessageBytes {
		d.pending = d.pending[:last]
		t.drop(d, m, reasonTooLarge, nil)
		return nil
	}
	rejected, reason, err := t.send(ctx, m)
	outcome := fateOf(err)
	if outcome == again {
		return t.retryable(err)
	}
	d.pending = d.pending[:last]
	switch {
	case outcome == taken:
		t.settle(d, m, rejected, reason)
	case m.spans() > 1:
		first, second := m.halves()
		d.pending = append(d.pending, second, first)
	case outcome == tooLarge:
		t.drop(d, m, reasonTooLarge, err)
	default:
		t.drop(d, m, ledger.ReasonRejected, err)
	}
	return nil
}

func (t *traces) send(ctx context.Context, m message) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	began := time.Now()
	rejected, reason, err := m.send(ctx, t.conn)
	t.telemetry.answered(ctx, began, err)
	return rejected, reason, err
}

func (t *traces) retryable(err error) error {
	what := advice(err)
	t.complaints.Warn("unanswered/"+what, "Jaeger did not take spans", zap.String("endpoint", t.cfg.ClientConfig.Endpoint),
		zap.String("protocol", t.cfg.Protocol), zap.String("advice", what), zap.Error(err))
	err = fmt.Errorf("export spans to jaeger at %s: %w", t.cfg.ClientConfig.Endpoint, err)
	if delay := retryDelay(err); delay > 0 {
		return exporterhelper.NewThrottleRetry(err, delay)
	}
	return err
}

// settle tallies a request that Jaeger took, perhaps without some spans: OTLP
// says how many, not which.
func (t *traces) settle(d *delivery, m message, rejected int, reason string) {
	t.complaints.Over("unanswered", "Jaeger takes spans again")
	d.delivered += m.spans() - rejected
	d.dropped[ledger.ReasonRejected] += rejected
	if rejected > 0 || reason != "" {
		t.complaints.Warn("refused", "Jaeger refused a part of the spans of a request: they are lost, the others are stored",
			zap.Int("refused_spans", rejected), zap.Int("spans", m.spans()), zap.String("reason", reason))
	}
}

// drop tallies a message of a single span.
func (t *traces) drop(d *delivery, m message, reason string, err error) {
	d.dropped[reason]++
	t.complaints.Warn("lost/"+reason, "span is lost: Jaeger will never take it", zap.String("reason", reason),
		zap.Int("bytes", m.bytes()), zap.Int("limit_bytes", maxMessageBytes), zap.Error(err))
}
