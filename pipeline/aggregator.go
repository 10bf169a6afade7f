package pipeline

import (
	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/spanmetricsconnector"

	"github.com/crowsnest-o11y/crowsnest/exporters/jaeger"
	"github.com/crowsnest-o11y/crowsnest/exporters/loki"
	"github.com/crowsnest-o11y/crowsnest/exporters/prometheus"
	"github.com/crowsnest-o11y/crowsnest/pipeline/kubeattrs"
	"github.com/crowsnest-o11y/crowsnest/pipeline/sequence"
	"github.com/crowsnest-o11y/crowsnest/pipeline/spool"
)

// Aggregator is the program in front of the stores.
func Aggregator() Program {
	p := shared("crowsnest-aggregator", "Takes what the agents send and exports it to Prometheus, Loki and Jaeger; it answers an agent only after the store has the data.")
	p.Defaults = []string{"embedded:aggregator/logs", "embedded:aggregator/metrics", "embedded:aggregator/traces", "embedded:aggregator/spanmetrics"}
	p.exporters = append(p.exporters,
		loki.NewFactory(),
		prometheus.NewFactory(),
		jaeger.NewFactory(),
	)
	p.processors = append(p.processors, kubeattrs.NewFactory(), spool.NewFactory())
	p.connectors = append(p.connectors, sequence.NewFactory())
	p.sources = append(p.sources, spanmetricsconnector.NewFactory())
	return p
}
