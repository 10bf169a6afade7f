package pipeline

import (
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/jaegerreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver"
	"go.opentelemetry.io/collector/exporter/otlpexporter"

	"github.com/crowsnest-o11y/crowsnest/pipeline/kubeattrs"
	"github.com/crowsnest-o11y/crowsnest/pipeline/kubepods"
	"github.com/crowsnest-o11y/crowsnest/pipeline/spool"
	"github.com/crowsnest-o11y/crowsnest/receivers/containerlogs"
	"github.com/crowsnest-o11y/crowsnest/receivers/kubelet"
)

// Agent is the program of a node.
func Agent() Program {
	p := shared("crowsnest-agent", "Gathers a Kubernetes node's container logs, kubelet metrics and traces and forwards them, each with its pod's identity.")
	p.Defaults = []string{"embedded:agent/logs", "embedded:agent/metrics", "embedded:agent/traces"}
	// On every node memory is scarcer than the few percent of a core it costs.
	p.gcPercent = 50
	p.receivers = append(p.receivers,
		containerlogs.NewFactory(),
		kubelet.NewFactory(),
		jaegerreceiver.NewFactory(),
		zipkinreceiver.NewFactory(),
	)
	p.processors = append(p.processors,
		kubeattrs.NewFactory(),
		spool.NewFactory(),
	)
	p.upstreamExporters = append(p.upstreamExporters, otlpexporter.NewFactory())
	p.extensions = append(p.extensions, kubepods.NewFactory())
	return p
}
