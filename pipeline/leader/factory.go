package leader

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
)

// NewFactory makes the factory of the extension "leader".
func NewFactory() extension.Factory {
	return extension.NewFactory(
		component.MustNewType("leader"),
		defaultConfig,
		func(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			return newCandidate(set, cfg.(*Config))
		},
		component.StabilityLevelAlpha,
	)
}
