package loki

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
)

// NewFactory makes the factory of the exporter "loki", which takes logs only.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(component.MustNewType("loki"), createDefaultConfig,
		exporter.WithLogs(createLogs, component.StabilityLevelAlpha))
}

func createLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	x, err := newLogsExporter(config.(*Config), set)
	if err != nil {
		return nil, err
	}
	return x.wrap(ctx, set)
}
