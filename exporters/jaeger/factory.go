package jaeger

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
)

// NewFactory makes the factory of the exporter "jaeger", for traces.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("jaeger"),
		defaultConfig,
		exporter.WithTraces(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			return newTraces(ctx, set, cfg.(*Config))
		}, component.StabilityLevelAlpha),
	)
}
