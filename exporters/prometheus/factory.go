package prometheus

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
)

// NewFactory makes the factory of exporter "prometheus".
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("prometheus"),
		createDefaultConfig,
		exporter.WithMetrics(createMetrics, component.StabilityLevelAlpha),
	)
}

func createMetrics(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
	return newExporter(ctx, set, cfg.(*Config))
}
