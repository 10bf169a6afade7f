package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// maxLines is how many log lines or traces one panel asks for.
const (
	maxLines  = 500
	maxTraces = 20
)

// target is the query as its data source reads it.
func (q Query) target(ref string, kind Kind) (variants.Dataquery, error) {
	switch q.Source {
	case Loki:
		return q.lokiTarget(ref, kind)
	case Jaeger:
		// The SDK has no type for it.
		return variants.UnknownDataquery{"refId": ref, "datasource": reference(Jaeger),
			"queryType": "search", "service": q.Expr, "tags": q.tags, "limit": maxTraces}, nil
	}
	b := prometheus.NewDataqueryBuilder().Expr(q.Expr).RefId(ref).Datasource(reference(Prometheus)).
		EditorMode(prometheus.QueryEditorModeCode).Exemplar(q.exemplar).LegendFormat(or(q.Legend, "__auto"))
	if q.Instant {
		b.Instant()
	} else {
		b.Range()
	}
	switch kind {
	case Table:
		b.Format(prometheus.PromQueryFormatTable)
	case Heatmap:
		b.Format(prometheus.PromQueryFormatHeatmap)
	default:
		b.Format(prometheus.PromQueryFormatTimeSeries)
	}
	return b.Build()
}

func (q Query) lokiTarget(ref string, kind Kind) (variants.Dataquery, error) {
	b := loki.NewDataqueryBuilder().Expr(q.Expr).RefId(ref).Datasource(reference(Loki)).
		EditorMode(loki.QueryEditorModeCode).LegendFormat(q.Legend).QueryType("range")
	if q.Instant {
		b.QueryType("instant")
	}
	if kind == Logs {
		b.MaxLines(maxLines)
	}
	return b.Build()
}
