// Package sequence is the connector "sequence": it hands spans to pipelines one
// after the other, each only after the one before has taken them.
//
// A pipeline with two exporters hands each request to both at once. While one
// of them refuses, the sender repeats the request and the other gets the same
// spans again and again: span metrics would count the retries of an outage of
// Jaeger as traffic. Behind a sequence of [traces/jaeger, traces/red] a span is
// counted once, after Jaeger has it.
//
//	connectors:
//	  sequence:
//	    pipelines: [traces/jaeger, traces/red]
//
// The first pipeline's answer is the sender's. Spans that it refuses for good
// were seen all the same and go on. Errors of later pipelines are logged
// (once a minute at most) and counted, and not returned: the sender would repeat
// what the first one has. The first pipeline must be done with the spans when
// it answers: no batching, no queue, no tail sampling in it.
package sequence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

// Config is what users write.
type Config struct {
	// Pipelines are the ids of the pipelines, in order.
	Pipelines []pipeline.ID `mapstructure:"pipelines"`
}

// Validate checks that there is an order.
func (c *Config) Validate() error {
	if len(c.Pipelines) < 2 {
		return fmt.Errorf("pipelines: %d named, must be at least 2", len(c.Pipelines))
	}
	return nil
}

// NewFactory makes the factory of the connector "sequence", from traces to traces.
func NewFactory() connector.Factory {
	return connector.NewFactory(
		component.MustNewType("sequence"),
		func() component.Config { return &Config{} },
		connector.WithTracesToTraces(newTraces, component.StabilityLevelAlpha),
	)
}

// traces passes spans on in order. It starts nothing.
type traces struct {
	component.StartFunc
	component.ShutdownFunc
	complaints *complaint.Log
	failed     metric.Int64Counter
	order      []consumer.Traces
}

func newTraces(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Traces) (connector.Traces, error) {
	router, ok := next.(connector.TracesRouterAndConsumer)
	if !ok {
		return nil, errors.New("connect sequence: the collector gave no router of pipelines")
	}
	failed, err := set.MeterProvider.Meter("github.com/crowsnest-o11y/crowsnest/pipeline/sequence").Int64Counter(
		"crowsnest_sequence_failed_items",
		metric.WithDescription("Spans that a later pipeline of a sequence refused; the first one has them."),
		metric.WithUnit("{span}"))
	if err != nil {
		return nil, fmt.Errorf("make counter of failed spans: %w", err)
	}
	t := &traces{complaints: complaint.New(set.Logger, time.Minute), failed: failed}
	for _, id := range cfg.(*Config).Pipelines {
		c, err := router.Consumer(id)
		if err != nil {
			return nil, fmt.Errorf("pipelines: %q does not receive from this connector: %w", id, err)
		}
		t.order = append(t.order, c)
	}
	return t, nil
}

// Capabilities say that spans are changed: each pipeline is handed the same ones.
func (t *traces) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

// ConsumeTraces answers with the first pipeline's error.
func (t *traces) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	first := t.order[0].ConsumeTraces(ctx, td)
	if first != nil && !consumererror.IsPermanent(first) {
		return first
	}
	for _, c := range t.order[1:] {
		n := td.SpanCount() // before the call: afterwards the spans are not ours to read
		if err := c.ConsumeTraces(ctx, td); err != nil {
			t.failed.Add(ctx, int64(n))
			t.complaints.Error("refused", "a later pipeline of the sequence refused spans that the first one has; what it makes of them (such as span metrics) lacks them", zap.Error(err))
			break // it may hold on to the spans
		}
	}
	return first
}
