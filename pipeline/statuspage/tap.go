package statuspage

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// TapConfig is what users write for the processor.
type TapConfig struct {
	// Delivery says that the answer of what follows is the store's. It is false
	// in front of a queue, which answers before the store has the data.
	Delivery bool `mapstructure:"delivery"`
}

// tap looks at what passes. Without a page among the extensions it only passes on.
type tap struct {
	component.ShutdownFunc
	config *TapConfig
	signal ledger.Signal
	page   *Page // nil: nobody asks
	flow   *flow // nil: answers are not the store's
}

func newTap(cfg component.Config, signal ledger.Signal) *tap {
	return &tap{config: cfg.(*TapConfig), signal: signal}
}

// Start finds the page.
func (t *tap) Start(_ context.Context, host component.Host) error {
	for _, extension := range host.GetExtensions() {
		if page, ok := extension.(*Page); ok {
			t.page = page
			if t.config.Delivery {
				t.flow = page.flows[t.signal]
			}
			break
		}
	}
	return nil
}

// Capabilities say that nothing is changed.
func (t *tap) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

type (
	logsTap struct {
		*tap
		next consumer.Logs
	}
	metricsTap struct {
		*tap
		next consumer.Metrics
	}
	tracesTap struct {
		*tap
		next consumer.Traces
	}
)

func newLogsTap(_ context.Context, _ processor.Settings, cfg component.Config, next consumer.Logs) (processor.Logs, error) {
	return logsTap{newTap(cfg, ledger.Logs), next}, nil
}

func newMetricsTap(_ context.Context, _ processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
	return metricsTap{newTap(cfg, ledger.Metrics), next}, nil
}

func newTracesTap(_ context.Context, _ processor.Settings, cfg component.Config, next consumer.Traces) (processor.Traces, error) {
	return tracesTap{newTap(cfg, ledger.Traces), next}, nil
}

// What passes is read before it is handed on: afterwards it is not ours to read.

func (t logsTap) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	if t.page == nil {
		return t.next.ConsumeLogs(ctx, ld)
	}
	now := time.Now()
	t.page.seeLogs(ld, now)
	t.flow.begin(now)
	err := t.next.ConsumeLogs(ctx, ld)
	t.flow.end(ctx, now, err)
	return err
}

func (t metricsTap) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if t.page == nil {
		return t.next.ConsumeMetrics(ctx, md)
	}
	now := time.Now()
	t.page.roster.read(md, now)
	t.flow.begin(now)
	err := t.next.ConsumeMetrics(ctx, md)
	t.flow.end(ctx, now, err)
	return err
}

func (t tracesTap) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	now := time.Now()
	t.flow.begin(now)
	err := t.next.ConsumeTraces(ctx, td)
	t.flow.end(ctx, now, err)
	return err
}
