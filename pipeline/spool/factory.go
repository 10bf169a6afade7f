package spool

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// NewFactory makes the factory of the processor "spool", for every signal.
func NewFactory() processor.Factory {
	return processor.NewFactory(
		component.MustNewType("spool"),
		defaultConfig,
		processor.WithMetrics(createMetrics, component.StabilityLevelAlpha),
		processor.WithTraces(createTraces, component.StabilityLevelAlpha),
		processor.WithLogs(createLogs, component.StabilityLevelAlpha),
	)
}

func createMetrics(_ context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
	s, err := newSpool(set, cfg.(*Config), signal[pmetric.Metrics]{
		name:      ledger.Metrics,
		marshal:   (&pmetric.ProtoMarshaler{}).MarshalMetrics,
		unmarshal: (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics,
		items:     pmetric.Metrics.DataPointCount,
		send:      next.ConsumeMetrics,
	})
	if err != nil {
		return nil, err
	}
	c, err := consumer.NewMetrics(s.consume)
	return struct {
		component.Component
		consumer.Metrics
	}{s, c}, err
}

func createTraces(_ context.Context, set processor.Settings, cfg component.Config, next consumer.Traces) (processor.Traces, error) {
	s, err := newSpool(set, cfg.(*Config), signal[ptrace.Traces]{
		name:      ledger.Traces,
		marshal:   (&ptrace.ProtoMarshaler{}).MarshalTraces,
		unmarshal: (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces,
		items:     ptrace.Traces.SpanCount,
		send:      next.ConsumeTraces,
	})
	if err != nil {
		return nil, err
	}
	c, err := consumer.NewTraces(s.consume)
	return struct {
		component.Component
		consumer.Traces
	}{s, c}, err
}

func createLogs(_ context.Context, set processor.Settings, cfg component.Config, next consumer.Logs) (processor.Logs, error) {
	s, err := newSpool(set, cfg.(*Config), signal[plog.Logs]{
		name:      ledger.Logs,
		marshal:   (&plog.ProtoMarshaler{}).MarshalLogs,
		unmarshal: (&plog.ProtoUnmarshaler{}).UnmarshalLogs,
		items:     plog.Logs.LogRecordCount,
		send:      next.ConsumeLogs,
	})
	if err != nil {
		return nil, err
	}
	c, err := consumer.NewLogs(s.consume)
	return struct {
		component.Component
		consumer.Logs
	}{s, c}, err
}
