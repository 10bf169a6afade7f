package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/pprofextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/forwardconnector"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/zpagesextension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

// Program is one of the two programs: its name, the components it links and
// the configuration it runs when it is given none.
type Program struct {
	// Name is the command's name, such as "crowsnest-agent".
	Name string
	// Description is one line for --help.
	Description string
	// Defaults are the configuration URIs used when no --config is given.
	Defaults []string
	// Fragments are its embedded configurations.
	Fragments Fragments
	// GCPercent is GOGC if the environment does not say: 0 leaves Go's 100.
	GCPercent int
	// DropStartPages gives the memory back that only its start needed.
	DropStartPages bool
	// Commands are sub-commands of its own.
	Commands []*cobra.Command

	Receivers  []receiver.Factory
	Processors []processor.Factory
	// Exporters keep their own account in the ledger.
	Exporters []exporter.Factory
	// UpstreamExporters know nothing of the ledger: account.go keeps it for them.
	UpstreamExporters []exporter.Factory
	Extensions        []extension.Factory
	// Connectors pass on what was counted when it entered.
	Connectors []connector.Factory
	// Sources are connectors that make items of their own, such as span
	// metrics: the ledger counts these as received.
	Sources []connector.Factory
}

// New returns a program with the components that both have.
func New(name, description string) Program {
	return Program{
		Name:        name,
		Description: description,
		Receivers:   []receiver.Factory{otlpreceiver.NewFactory()},
		Processors: []processor.Factory{
			memorylimiterprocessor.NewFactory(),
			filterprocessor.NewFactory(),
			transformprocessor.NewFactory(),
		},
		Connectors: []connector.Factory{forwardconnector.NewFactory()},
		UpstreamExporters: []exporter.Factory{
			debugexporter.NewFactory(),
		},
		Extensions: []extension.Factory{
			healthcheckextension.NewFactory(),
			pprofextension.NewFactory(),
			zpagesextension.NewFactory(),
		},
	}
}

// factories makes the collector's view of the component lists, with the
// ledger wrapped round what enters and what upstream exporters deliver.
func (p Program) factories() (otelcol.Factories, error) {
	receivers, err := otelcol.MakeFactoryMap(p.Receivers...)
	if err != nil {
		return otelcol.Factories{}, fmt.Errorf("list receivers of %s: %w", p.Name, err)
	}
	for t, f := range receivers {
		receivers[t] = newAccountedReceiver(f)
	}
	exporters, err := otelcol.MakeFactoryMap(slices.Concat(p.Exporters, p.UpstreamExporters)...)
	if err != nil {
		return otelcol.Factories{}, fmt.Errorf("list exporters of %s: %w", p.Name, err)
	}
	upstream, err := otelcol.MakeFactoryMap(p.UpstreamExporters...)
	if err != nil {
		return otelcol.Factories{}, fmt.Errorf("list upstream exporters of %s: %w", p.Name, err)
	}
	for t, f := range upstream {
		exporters[t] = accountedExporter{f}
	}
	processors, err := otelcol.MakeFactoryMap(p.Processors...)
	if err != nil {
		return otelcol.Factories{}, fmt.Errorf("list processors of %s: %w", p.Name, err)
	}
	connectors, err := otelcol.MakeFactoryMap(slices.Concat(p.Connectors, p.Sources)...)
	if err != nil {
		return otelcol.Factories{}, fmt.Errorf("list connectors of %s: %w", p.Name, err)
	}
	for _, f := range p.Sources {
		connectors[f.Type()] = newAccountedSource(f)
	}
	extensions, err := otelcol.MakeFactoryMap(p.Extensions...)
	if err != nil {
		return otelcol.Factories{}, fmt.Errorf("list extensions of %s: %w", p.Name, err)
	}
	return otelcol.Factories{
		Receivers:        receivers,
		Processors:       processors,
		Exporters:        exporters,
		Extensions:       extensions,
		Connectors:       connectors,
		Telemetry:        otelconftelemetry.NewFactory(),
		ReceiverModules:  modules(receivers),
		ProcessorModules: modules(processors),
		ExporterModules:  modules(exporters),
		ExtensionModules: modules(extensions),
		ConnectorModules: modules(connectors),
	}, nil
}

// modules names this program as the module of every component: they are
// linked at the versions of its go.mod, which `go version -m` shows.
func modules[F any](factories map[component.Type]F) map[component.Type]string {
	names := make(map[component.Type]string, len(factories))
	for t := range maps.Keys(factories) {
		names[t] = Module + " " + Version
	}
	return names
}
