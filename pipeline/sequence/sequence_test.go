package sequence

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"
)

var (
	jaeger = pipeline.NewIDWithName(pipeline.SignalTraces, "jaeger")
	red    = pipeline.NewIDWithName(pipeline.SignalTraces, "red")
)

// order records which pipelines were called.
type order []string

func (o *order) pipeline(t *testing.T, name string, err error) consumer.Traces {
	t.Helper()
	c, cerr := consumer.NewTraces(func(context.Context, ptrace.Traces) error {
		*o = append(*o, name)
		return err
	})
	if cerr != nil {
		t.Fatal(cerr)
	}
	return c
}

func TestOrder(t *testing.T) {
	refused, final := errors.New("away"), consumererror.NewPermanent(errors.New("no such tenant"))
	for name, c := range map[string]struct {
		first, second error
		calls         order
		answer        error
	}{
		"both take them":                      {calls: order{"jaeger", "red"}},
		"refused by the first":                {first: refused, calls: order{"jaeger"}, answer: refused},
		"refused for good, still counted":     {first: final, calls: order{"jaeger", "red"}, answer: final},
		"refused by the second, not repeated": {second: refused, calls: order{"jaeger", "red"}},
	} {
		t.Run(name, func(t *testing.T) {
			var calls order
			router := connector.NewTracesRouter(map[pipeline.ID]consumer.Traces{
				red:    calls.pipeline(t, "red", c.second),
				jaeger: calls.pipeline(t, "jaeger", c.first),
			})
			s, err := NewFactory().CreateTracesToTraces(t.Context(), connectortest.NewNopSettings(NewFactory().Type()),
				&Config{Pipelines: []pipeline.ID{jaeger, red}}, router)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context(), componenttest.NewNopHost()); err != nil {
				t.Fatal(err)
			}
			td := ptrace.NewTraces()
			td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			if got := s.ConsumeTraces(t.Context(), td); !errors.Is(got, c.answer) {
				t.Errorf("answer %v, want %v", got, c.answer)
			}
			if !slices.Equal(calls, c.calls) {
				t.Errorf("called %v, want %v", calls, c.calls)
			}
		})
	}
}

func TestUnknownPipelineIsNamed(t *testing.T) {
	router := connector.NewTracesRouter(map[pipeline.ID]consumer.Traces{})
	_, err := NewFactory().CreateTracesToTraces(t.Context(), connectortest.NewNopSettings(NewFactory().Type()),
		&Config{Pipelines: []pipeline.ID{jaeger, red}}, router)
	if err == nil || !strings.Contains(err.Error(), "traces/jaeger") {
		t.Errorf("error %v does not name the pipeline", err)
	}
	if err := (&Config{Pipelines: []pipeline.ID{jaeger}}).Validate(); err == nil {
		t.Error("a sequence of one pipeline is accepted")
	}
}
