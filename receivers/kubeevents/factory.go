package kubeevents

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// NewFactory makes the factory of the receiver "kubeevents" (logs, alpha).
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		component.MustNewType("kubeevents"),
		func() component.Config { return &Config{} },
		receiver.WithLogs(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Logs) (receiver.Logs, error) {
			return newReceiver(cfg.(*Config), set, next)
		}, component.StabilityLevelAlpha),
	)
}
