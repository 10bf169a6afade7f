package rendezvous

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
)

// NewFactory makes the factory of the extension "rendezvous".
func NewFactory() extension.Factory {
	return extension.NewFactory(
		component.MustNewType("rendezvous"),
		defaultConfig,
		func(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			return newRendezvous(set, cfg.(*Config)), nil
		},
		component.StabilityLevelAlpha,
	)
}
