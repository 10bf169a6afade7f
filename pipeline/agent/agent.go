// Package agent is crowsnest-agent: the components it links and, in the YAML
// files here, the configuration it runs.
package agent

import (
	"embed"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/jaegerreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver"
	"go.opentelemetry.io/collector/exporter/otlpexporter"

	"github.com/crowsnest-o11y/crowsnest/pipeline"
	"github.com/crowsnest-o11y/crowsnest/pipeline/certificates"
	"github.com/crowsnest-o11y/crowsnest/pipeline/kubeattrs"
	"github.com/crowsnest-o11y/crowsnest/pipeline/kubepods"
	"github.com/crowsnest-o11y/crowsnest/pipeline/rendezvous"
	"github.com/crowsnest-o11y/crowsnest/pipeline/spool"
	"github.com/crowsnest-o11y/crowsnest/receivers/containerlogs"
	"github.com/crowsnest-o11y/crowsnest/receivers/cri"
	"github.com/crowsnest-o11y/crowsnest/receivers/kubelet"
	"github.com/crowsnest-o11y/crowsnest/receivers/kubestate"
	"github.com/crowsnest-o11y/crowsnest/receivers/node"
	"github.com/crowsnest-o11y/crowsnest/receivers/scrape"
	"github.com/crowsnest-o11y/crowsnest/receivers/terminations"
)

//go:embed *.yaml
var files embed.FS

// builtOn: see pipeline.Fragments.
var builtOn = map[string][]string{
	"node":          {"metrics"},
	"kubestate":     {"metrics"},
	"terminations":  {"metrics"},
	"cri":           {"metrics"},
	"control_plane": {"metrics"},
	"applications":  {"metrics"},
}

// Program is the program of a node.
func Program() pipeline.Program {
	p := pipeline.New("crowsnest-agent", "Gathers a Kubernetes node's container logs, kubelet metrics and traces and forwards them, each with its pod's identity.")
	p.Fragments = pipeline.Fragments{Name: "agent", Files: files, BuiltOn: builtOn}
	p.Defaults = []string{"embedded:agent/logs", "embedded:agent/metrics", "embedded:agent/traces", "embedded:agent/node",
		"embedded:agent/kubestate", "embedded:agent/terminations", "embedded:agent/control_plane", "embedded:agent/applications"}
	// On every node memory is scarcer than the few percent of a core it costs.
	p.GCPercent = 50
	p.DropStartPages = true
	p.Receivers = append(p.Receivers,
		containerlogs.NewFactory(),
		kubelet.NewFactory(),
		cri.NewFactory(),
		terminations.NewFactory(),
		node.NewFactory(),
		kubestate.NewFactory(),
		scrape.NewFactory(),
		jaegerreceiver.NewFactory(),
		zipkinreceiver.NewFactory(),
	)
	p.Processors = append(p.Processors,
		kubeattrs.NewFactory(),
		spool.NewFactory(),
	)
	p.UpstreamExporters = append(p.UpstreamExporters, otlpexporter.NewFactory())
	p.Extensions = append(p.Extensions, kubepods.NewFactory(), rendezvous.NewFactory(), certificates.NewFactory())
	return p
}
