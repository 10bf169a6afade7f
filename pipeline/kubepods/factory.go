package kubepods

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
)

// NewFactory makes the factory of the extension "kubepods".
func NewFactory() extension.Factory {
	return extension.NewFactory(
		component.MustNewType("kubepods"),
		defaultConfig,
		func(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			return newPods(set, cfg.(*Config)), nil
		},
		component.StabilityLevelAlpha,
	)
}
