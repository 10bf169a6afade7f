package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// shutdownGrace is how long deliveries under way may go on once their
// receiver is told to stop. Exporters repeat without a time limit, and are
// stopped only after the receivers, which wait for their calls: without this
// bound a program whose store is away would never end. What is cut off was not
// acknowledged, so its sender repeats it.
const shutdownGrace = 5 * time.Second

// entry is where data enters the program: it counts what the pipeline
// answered for.
type entry struct {
	account *ledger.Account
	// ending ends shutdownGrace after the receiver was told to stop.
	ending context.Context
}

// bound returns ctx, ended also by ending.
func (e entry) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ending, func() { cancel(errShuttingDown) })
	return ctx, func() { stop(); cancel(nil) }
}

var errShuttingDown = errors.New("the program is shutting down")

// endingReceiver ends deliveries under way some time into its Shutdown.
type endingReceiver struct {
	component.Component
	end context.CancelFunc
}

func (r endingReceiver) Shutdown(ctx context.Context) error {
	timer := time.AfterFunc(shutdownGrace, r.end)
	defer timer.Stop()
	return r.Component.Shutdown(ctx)
}

// answer counts n items if err settles their fate, and returns the error as
// a sender may see it. A refusal that is not permanent must reach the sender
// as one it repeats: a store's own gRPC status inside it (say,
// PermissionDenied from Jaeger while its token is wrong) would otherwise
// travel to the agent, which would take it for final and drop the data.
func (e entry) answer(n int, err error) error {
	if err == nil || consumererror.IsPermanent(err) {
		e.account.Received(n)
		return err
	}
	if _, isStatus := status.FromError(err); isStatus {
		return status.Error(codes.Unavailable, err.Error())
	}
	return err
}

type (
	enteringLogs struct {
		consumer.Logs
		entry
	}
	enteringMetrics struct {
		consumer.Metrics
		entry
	}
	enteringTraces struct {
		consumer.Traces
		entry
	}
)

// Items are counted before the call: afterwards the data is not ours to read.

func (e enteringLogs) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	n := ld.LogRecordCount()
	ctx, cancel := e.bound(ctx)
	defer cancel()
	return e.answer(n, e.Logs.ConsumeLogs(ctx, ld))
}

func (e enteringMetrics) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	n := md.DataPointCount()
	ctx, cancel := e.bound(ctx)
	defer cancel()
	return e.answer(n, e.Metrics.ConsumeMetrics(ctx, md))
}

func (e enteringTraces) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	n := td.SpanCount()
	ctx, cancel := e.bound(ctx)
	defer cancel()
	return e.answer(n, e.Traces.ConsumeTraces(ctx, td))
}

// accountedReceiver puts the ledger's entry behind every receiver made by a
// factory. The signals of one OTLP receiver share a server, whose Shutdown
// waits for the calls of all of them: hence one ending for all.
type accountedReceiver struct {
	receiver.Factory
	ending context.Context
	end    context.CancelFunc
}

func newAccountedReceiver(f receiver.Factory) accountedReceiver {
	ending, end := context.WithCancel(context.Background())
	return accountedReceiver{f, ending, end}
}

func (f accountedReceiver) entry(set receiver.Settings, signal ledger.Signal) (entry, error) {
	account, err := ledger.NewAccount(set.MeterProvider, signal, set.ID.String())
	return entry{account, f.ending}, err
}

func (f accountedReceiver) CreateLogs(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Logs) (receiver.Logs, error) {
	e, err := f.entry(set, ledger.Logs)
	if err != nil {
		return nil, err
	}
	inner, err := f.Factory.CreateLogs(ctx, set, cfg, enteringLogs{next, e})
	if err != nil {
		return nil, err
	}
	return endingReceiver{inner, f.end}, nil
}

func (f accountedReceiver) CreateMetrics(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	e, err := f.entry(set, ledger.Metrics)
	if err != nil {
		return nil, err
	}
	inner, err := f.Factory.CreateMetrics(ctx, set, cfg, enteringMetrics{next, e})
	if err != nil {
		return nil, err
	}
	return endingReceiver{inner, f.end}, nil
}

func (f accountedReceiver) CreateTraces(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
	e, err := f.entry(set, ledger.Traces)
	if err != nil {
		return nil, err
	}
	inner, err := f.Factory.CreateTraces(ctx, set, cfg, enteringTraces{next, e})
	if err != nil {
		return nil, err
	}
	return endingReceiver{inner, f.end}, nil
}

// accountedSource puts the ledger's entry behind the metrics that a connector
// makes from other signals. (None makes other signals from metrics.)
type accountedSource struct {
	connector.Factory
	ending context.Context
	end    context.CancelFunc
}

func newAccountedSource(f connector.Factory) accountedSource {
	ending, end := context.WithCancel(context.Background())
	return accountedSource{f, ending, end}
}

func (f accountedSource) CreateTracesToMetrics(ctx context.Context, set connector.Settings, cfg component.Config, next consumer.Metrics) (connector.Traces, error) {
	account, err := ledger.NewAccount(set.MeterProvider, ledger.Metrics, set.ID.String())
	if err != nil {
		return nil, err
	}
	inner, err := f.Factory.CreateTracesToMetrics(ctx, set, cfg, enteringMetrics{next, entry{account, f.ending}})
	if err != nil {
		return nil, err
	}
	return endingSource{inner, endingReceiver{inner, f.end}}, nil
}

// endingSource is a connector whose deliveries end with its Shutdown.
type endingSource struct {
	connector.Traces
	ending endingReceiver
}

func (s endingSource) Shutdown(ctx context.Context) error { return s.ending.Shutdown(ctx) }

// exit is where data leaves the program through an exporter that keeps no
// account of its own. It is exact as long as the exporter answers after the
// delivery: without a sending queue, or with wait_for_result.
type exit struct {
	account *ledger.Account
	faults  *faultLog
}

// settle counts n items by the exporter's answer. A next hop that is set up
// wrongly (no token, no such service) refuses every item for good, by the
// letter of OTLP; taking that at its word would drop a cluster's data for a
// typo. Such a refusal is turned into one to be repeated: the data waits in
// its file or spool until somebody mends the configuration.
func (e exit) settle(n int, err error) error {
	switch {
	case err == nil:
		e.account.Delivered(n)
		return nil
	case !consumererror.IsPermanent(err):
		return err
	case isSetupFault(err):
		e.faults.report(err)
		return status.Error(codes.Unavailable, err.Error())
	default:
		e.account.Dropped(n, ledger.ReasonRejected)
		return err
	}
}

// isSetupFault tells refusals of the connection from refusals of the data.
func isSetupFault(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return true
	default:
		return false
	}
}

// faultLog reports a lasting set-up fault once a minute and no more often.
type faultLog struct {
	logger *zap.Logger
	mu     sync.Mutex
	next   time.Time
}

func (l *faultLog) report(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Before(l.next) {
		return
	}
	l.next = now.Add(time.Minute)
	l.logger.Error("the next hop refuses this program, not its data: nothing is dropped, but nothing is delivered either; mend the exporter's auth or tls settings, or enable this signal at the receiving end", zap.Error(err))
}

func newExit(set exporter.Settings, signal ledger.Signal) (exit, error) {
	account, err := ledger.NewAccount(set.MeterProvider, signal, set.ID.String())
	return exit{account, &faultLog{logger: set.Logger}}, err
}

type (
	leavingLogs struct {
		exporter.Logs
		exit
	}
	leavingMetrics struct {
		exporter.Metrics
		exit
	}
	leavingTraces struct {
		exporter.Traces
		exit
	}
)

func (e leavingLogs) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	n := ld.LogRecordCount()
	return e.settle(n, e.Logs.ConsumeLogs(ctx, ld))
}

func (e leavingMetrics) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	n := md.DataPointCount()
	return e.settle(n, e.Metrics.ConsumeMetrics(ctx, md))
}

func (e leavingTraces) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	n := td.SpanCount()
	return e.settle(n, e.Traces.ConsumeTraces(ctx, td))
}

// accountedExporter keeps the ledger for the exporters made by an upstream factory.
type accountedExporter struct{ exporter.Factory }

func (f accountedExporter) CreateLogs(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
	e, err := newExit(set, ledger.Logs)
	if err != nil {
		return nil, err
	}
	inner, err := f.Factory.CreateLogs(ctx, set, cfg)
	return leavingLogs{inner, e}, err
}

func (f accountedExporter) CreateMetrics(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
	e, err := newExit(set, ledger.Metrics)
	if err != nil {
		return nil, err
	}
	inner, err := f.Factory.CreateMetrics(ctx, set, cfg)
	return leavingMetrics{inner, e}, err
}

func (f accountedExporter) CreateTraces(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
	e, err := newExit(set, ledger.Traces)
	if err != nil {
		return nil, err
	}
	inner, err := f.Factory.CreateTraces(ctx, set, cfg)
	return leavingTraces{inner, e}, err
}
