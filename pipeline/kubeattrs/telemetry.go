package kubeattrs

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/crowsnest-o11y/crowsnest/pipeline/kubeattrs"

// telemetry counts resources by what became of them.
type telemetry struct {
	resources metric.Int64Counter
	options   [len(outcomes)][]metric.AddOption // made once: making them allocates
}

func newTelemetry(mp metric.MeterProvider, component string, s signal) (*telemetry, error) {
	var t telemetry
	var err error
	if t.resources, err = mp.Meter(scope).Int64Counter("crowsnest_kubeattrs_resources",
		metric.WithDescription("Resources that passed, by whether their pod was found: enriched, not_found (it names a pod or has a sender that is not known), no_identity (nothing to find a pod by), node (about the node itself)."),
		metric.WithUnit("{resource}")); err != nil {
		return nil, fmt.Errorf("make counter of resources: %w", err)
	}
	for i, name := range outcomes {
		t.options[i] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(
			attribute.String("component", component),
			attribute.String("signal", string(s)),
			attribute.String("outcome", name),
		))}
		t.resources.Add(context.Background(), 0, t.options[i]...)
	}
	return &t, nil
}

func (t *telemetry) count(ctx context.Context, counts *[len(outcomes)]int64) {
	for i, n := range counts {
		if n != 0 {
			t.resources.Add(ctx, n, t.options[i]...)
		}
	}
}
