package statuspage

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/processor"
)

// NewFactory makes the factory of the extension "statuspage".
func NewFactory() extension.Factory {
	return extension.NewFactory(
		component.MustNewType("statuspage"),
		defaultConfig,
		func(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			return newPage(set, cfg.(*Config)), nil
		},
		component.StabilityLevelAlpha,
	)
}

// NewTapFactory makes the factory of the processor "statustap", for all signals.
func NewTapFactory() processor.Factory {
	return processor.NewFactory(
		component.MustNewType("statustap"),
		func() component.Config { return &TapConfig{Delivery: true} },
		processor.WithLogs(newLogsTap, component.StabilityLevelAlpha),
		processor.WithMetrics(newMetricsTap, component.StabilityLevelAlpha),
		processor.WithTraces(newTracesTap, component.StabilityLevelAlpha),
	)
}
