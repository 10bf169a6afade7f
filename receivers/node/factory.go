package node

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// NewFactory makes the factory of the receiver "node" (metrics, alpha).
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		component.MustNewType("node"),
		func() component.Config { return defaultConfig() },
		receiver.WithMetrics(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			return newReceiver(cfg.(*Config), set, next)
		}, component.StabilityLevelAlpha),
	)
}
