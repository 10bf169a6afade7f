package pipeline

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var testType = component.MustNewType("test")

// answers is an exporter and the consumer behind a receiver that gives a fixed answer.
type answers struct {
	component.StartFunc
	component.ShutdownFunc
	err error
}

func (answers) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: true} }

// ConsumeLogs takes the records away, as a real next component may.
func (a answers) ConsumeLogs(_ context.Context, ld plog.Logs) error {
	ld.ResourceLogs().RemoveIf(func(plog.ResourceLogs) bool { return true })
	return a.err
}

func logs(n int) plog.Logs {
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for range n {
		records.AppendEmpty()
	}
	return ld
}

// counts reads the ledger's values, by instrument and reason.
func counts(t *testing.T, reader *sdkmetric.ManualReader) map[string]int64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				key := m.Name
				if reason, ok := p.Attributes.Value("reason"); ok {
					key += "/" + reason.AsString()
				}
				if p.Value != 0 {
					got[key] = p.Value
				}
			}
		}
	}
	return got
}

func TestEntryCountsWhatIsAnsweredFor(t *testing.T) {
	for name, c := range map[string]struct {
		answer error
		want   map[string]int64
	}{
		"taken":           {nil, map[string]int64{"crowsnest_received_items": 3}},
		"refused for now": {errors.New("store away"), map[string]int64{}},
		"refused for good": {consumererror.NewPermanent(errors.New("bad")),
			map[string]int64{"crowsnest_received_items": 3}},
	} {
		t.Run(name, func(t *testing.T) {
			reader := sdkmetric.NewManualReader()
			var next consumer.Logs
			factory := newAccountedReceiver(receiver.NewFactory(testType, nil, receiver.WithLogs(
				func(_ context.Context, _ receiver.Settings, _ component.Config, n consumer.Logs) (receiver.Logs, error) {
					next = n
					return answers{}, nil
				}, component.StabilityLevelAlpha)))
			set := receivertest.NewNopSettings(testType)
			set.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
			if _, err := factory.CreateLogs(t.Context(), set, nil, answers{err: c.answer}); err != nil {
				t.Fatal(err)
			}
			if err := next.ConsumeLogs(t.Context(), logs(3)); !errors.Is(err, c.answer) {
				t.Errorf("answer is %v, want %v", err, c.answer)
			}
			if diff := cmp.Diff(c.want, counts(t, reader)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEntryHidesTheStoresStatusFromTheSender(t *testing.T) {
	e := enteringLogs{answers{err: status.Error(codes.PermissionDenied, "token expired")}, entry{ending: t.Context()}}
	err := e.ConsumeLogs(t.Context(), logs(1))
	if status.Code(err) != codes.Unavailable || consumererror.IsPermanent(err) {
		t.Errorf("the sender sees %v; it would drop data that is only refused for now", err)
	}
}

func TestExitCountsFates(t *testing.T) {
	for name, c := range map[string]struct {
		answer    error
		permanent bool
		want      map[string]int64
	}{
		"delivered":       {nil, false, map[string]int64{"crowsnest_delivered_items": 3}},
		"refused for now": {errors.New("away"), false, map[string]int64{}},
		"refused for good": {consumererror.NewPermanent(status.Error(codes.InvalidArgument, "bad")), true,
			map[string]int64{"crowsnest_dropped_items/rejected": 3}},
		"no such service": {consumererror.NewPermanent(status.Error(codes.Unimplemented, "unknown service")), false,
			map[string]int64{}},
		"no certificate": {consumererror.NewPermanent(status.Error(codes.Unauthenticated, "who are you")), false,
			map[string]int64{}},
	} {
		t.Run(name, func(t *testing.T) {
			reader := sdkmetric.NewManualReader()
			factory := accountedExporter{exporter.NewFactory(testType, nil, exporter.WithLogs(
				func(context.Context, exporter.Settings, component.Config) (exporter.Logs, error) {
					return answers{err: c.answer}, nil
				}, component.StabilityLevelAlpha))}
			set := exportertest.NewNopSettings(testType)
			set.TelemetrySettings = componenttest.NewNopTelemetrySettings()
			set.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
			exp, err := factory.CreateLogs(t.Context(), set, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = exp.ConsumeLogs(t.Context(), logs(3))
			if (err == nil) != (c.answer == nil) || consumererror.IsPermanent(err) != c.permanent {
				t.Errorf("answer is %v", err)
			}
			if diff := cmp.Diff(c.want, counts(t, reader)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// stuck is a store that is away: it answers when its caller gives up.
type stuck struct{ answers }

func (stuck) ConsumeLogs(ctx context.Context, _ plog.Logs) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// waits is a receiver whose Shutdown waits for its calls, as gRPC's does.
type waits struct {
	component.StartFunc
	calls *sync.WaitGroup
}

func (w waits) Shutdown(context.Context) error {
	w.calls.Wait()
	return nil
}

func TestShutdownEndsDeliveriesThatCannotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var next consumer.Logs
		var calls sync.WaitGroup
		factory := newAccountedReceiver(receiver.NewFactory(testType, nil, receiver.WithLogs(
			func(_ context.Context, _ receiver.Settings, _ component.Config, n consumer.Logs) (receiver.Logs, error) {
				next = n
				return waits{calls: &calls}, nil
			}, component.StabilityLevelAlpha)))
		r, err := factory.CreateLogs(t.Context(), receivertest.NewNopSettings(testType), nil, stuck{})
		if err != nil {
			t.Fatal(err)
		}
		var answer error
		calls.Go(func() { answer = next.ConsumeLogs(t.Context(), logs(1)) })
		synctest.Wait()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(answer, errShuttingDown) || consumererror.IsPermanent(answer) {
			t.Errorf("the sender is told %v; it must be told to send again", answer)
		}
	})
}
