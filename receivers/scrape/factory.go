package scrape

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// NewFactory makes the factory of the receiver "scrape" (metrics, alpha).
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		component.MustNewType("scrape"),
		func() component.Config { return defaultConfig() },
		receiver.WithMetrics(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			return newReceiver(cfg.(*Config), set, next)
		}, component.StabilityLevelAlpha),
	)
}
