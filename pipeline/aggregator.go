package pipeline

import (
	"github.com/crowsnest-o11y/crowsnest/exporters/jaeger"
	"github.com/crowsnest-o11y/crowsnest/exporters/loki"
	"github.com/crowsnest-o11y/crowsnest/exporters/prometheus"
)

// Aggregator is the program in front of the stores.
func Aggregator() Program {
	p := shared("crowsnest-aggregator", "Takes what the agents send and exports it to Prometheus, Loki and Jaeger; it answers an agent only after the store has the data.")
	p.Defaults = []string{"embedded:aggregator/logs", "embedded:aggregator/metrics", "embedded:aggregator/traces"}
	p.exporters = append(p.exporters,
		loki.NewFactory(),
		prometheus.NewFactory(),
		jaeger.NewFactory(),
	)
	return p
}
