// Package aggregator is crowsnest-aggregator: the components it links and, in
// the YAML files here, the configuration it runs.
package aggregator

import (
	"embed"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/spanmetricsconnector"

	dashboards "github.com/crowsnest-o11y/crowsnest/dashboards/json"
	"github.com/crowsnest-o11y/crowsnest/dashboards/rules"
	"github.com/crowsnest-o11y/crowsnest/exporters/jaeger"
	"github.com/crowsnest-o11y/crowsnest/exporters/loki"
	"github.com/crowsnest-o11y/crowsnest/exporters/prometheus"
	"github.com/crowsnest-o11y/crowsnest/pipeline"
	"github.com/crowsnest-o11y/crowsnest/pipeline/certificates"
	"github.com/crowsnest-o11y/crowsnest/pipeline/kubeattrs"
	"github.com/crowsnest-o11y/crowsnest/pipeline/leader"
	"github.com/crowsnest-o11y/crowsnest/pipeline/rulecheck"
	"github.com/crowsnest-o11y/crowsnest/pipeline/sequence"
	"github.com/crowsnest-o11y/crowsnest/pipeline/spool"
	"github.com/crowsnest-o11y/crowsnest/pipeline/statuspage"
	"github.com/crowsnest-o11y/crowsnest/receivers/kubeevents"
	"github.com/crowsnest-o11y/crowsnest/receivers/kubestate"
	"github.com/crowsnest-o11y/crowsnest/receivers/scrape"
)

//go:embed *.yaml
var files embed.FS

// builtOn: see pipeline.Fragments.
var builtOn = map[string][]string{
	"kubeevents":    {"logs"},
	"kubestate":     {"metrics"},
	"control_plane": {"metrics"},
	"spanmetrics":   {"metrics", "traces"},
}

// Program is the program in front of the stores.
func Program() pipeline.Program {
	p := pipeline.New("crowsnest-aggregator", "Takes what the agents send and exports it to Prometheus, Loki and Jaeger; it answers an agent only after the store has the data.")
	p.Fragments = pipeline.Fragments{Name: "aggregator", Files: files, BuiltOn: builtOn}
	p.Defaults = []string{"embedded:aggregator/logs", "embedded:aggregator/metrics", "embedded:aggregator/traces",
		"embedded:aggregator/spanmetrics", "embedded:aggregator/kubestate", "embedded:aggregator/control_plane", "embedded:aggregator/kubeevents"}
	p.Exporters = append(p.Exporters,
		loki.NewFactory(),
		prometheus.NewFactory(),
		jaeger.NewFactory(),
	)
	p.Receivers = append(p.Receivers, kubeevents.NewFactory(), kubestate.NewFactory(), scrape.NewFactory())
	p.Extensions = append(p.Extensions, leader.NewFactory(), certificates.NewFactory(), statuspage.NewFactory())
	p.Processors = append(p.Processors, kubeattrs.NewFactory(), spool.NewFactory(), statuspage.NewTapFactory())
	p.Connectors = append(p.Connectors, sequence.NewFactory())
	p.Sources = append(p.Sources, spanmetricsconnector.NewFactory())
	p.Commands = append(p.Commands, rulecheck.NewCommand(dashboards.Files, rules.Rendered))
	return p
}
