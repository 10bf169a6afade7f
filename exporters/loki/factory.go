package loki

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
)

// NewFactory makes the factory of the exporter "loki", which takes logs only.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(component.MustNewType("loki"), createDefaultConfig,
		exporter.WithLogs(createLogs, component.StabilityLevelAlpha))
}

func createLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	cfg := config.(*Config)
	x, err := newLogsExporter(cfg, set)
	if err != nil {
		return nil, err
	}
	return xexporterhelper.NewLogsRequest(ctx, set, x.newRequest, x.export,
		exporterhelper.WithStart(x.start),
		exporterhelper.WithShutdown(x.shutdown),
		// No time limit over a whole batch: each push has its own (timeout).
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}),
		exporterhelper.WithRetry(cfg.Retry))
}
