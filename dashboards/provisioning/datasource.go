package provisioning

import "fmt"

// Store is a kind of store, by the name that the chart gives it.
type Store string

const (
	Prometheus Store = "prometheus"
	Loki       Store = "loki"
	Jaeger     Store = "jaeger"
)

// Stores in the order in which Grafana lists them.
func Stores() []Store { return []Store{Prometheus, Loki, Jaeger} }

// UID is the data source's, by which others link to it.
func (s Store) UID() string { return "crowsnest-" + string(s) }

// Source is a data source as Grafana's provisioning files have it.
type Source struct {
	Name      string         `json:"name" yaml:"name"`
	UID       string         `json:"uid" yaml:"uid"`
	Type      string         `json:"type" yaml:"type"`
	Access    string         `json:"access" yaml:"access"`
	URL       string         `json:"url,omitempty" yaml:"url"`
	IsDefault bool           `json:"isDefault" yaml:"isDefault"`
	JSONData  map[string]any `json:"jsonData" yaml:"jsonData"`
}

// Settings are a data source's own and those that lead to other stores; the
// latter only make sense where that store is.
type Settings struct {
	Source Source                   `json:"source"`
	Links  map[Store]map[string]any `json:"links"`
}

// Of gives a store's settings, without its address.
func Of(store Store) Settings {
	source := Source{UID: store.UID(), Type: string(store), Access: "proxy", JSONData: map[string]any{}}
	switch store {
	case Prometheus:
		source.Name, source.IsDefault = "Prometheus", true
		source.JSONData = map[string]any{
			"httpMethod":     "POST", // long queries do not fit into an address
			"prometheusType": "Prometheus",
			"timeInterval":   scrapeInterval,
		}
		return Settings{source, map[Store]map[string]any{Jaeger: exemplarLinks()}}
	case Loki:
		source.Name = "Loki"
		source.JSONData = map[string]any{"maxLines": maxLines}
		return Settings{source, map[Store]map[string]any{Jaeger: lineLinks()}}
	}
	source.Name = "Jaeger"
	source.JSONData = map[string]any{"nodeGraph": map[string]any{"enabled": true}}
	return Settings{source, map[Store]map[string]any{Loki: spanLines(), Prometheus: spanMetrics()}}
}

const (
	// scrapeInterval is the longest between two samples of a series;
	// $__rate_interval is at least four times of it.
	scrapeInterval = "30s"
	// maxLines is how many log lines a search in Explore shows.
	maxLines = 1000

	// exemplarLabel holds an exemplar's trace id.
	exemplarLabel = "trace_id"
	// lineLabel matches the label or structured metadata with a line's trace id;
	// Grafana looks for it anywhere in the name.
	lineLabel = "^trace_id$"
)

// exemplarLinks open an exemplar's trace.
func exemplarLinks() map[string]any {
	return map[string]any{"exemplarTraceIdDestinations": []any{map[string]any{
		"name": exemplarLabel, "datasourceUid": Jaeger.UID(), "urlDisplayLabel": "Open the trace"}}}
}

// lineLinks open a line's trace. Structured metadata counts as a label here.
func lineLinks() map[string]any {
	return map[string]any{"derivedFields": []any{map[string]any{
		"name": "Trace", "matcherType": "label", "matcherRegex": lineLabel,
		"url": "${__value.raw}", "datasourceUid": Jaeger.UID(), "urlDisplayLabel": "Open the trace"}}}
}

// tag maps a span's attribute to a label.
type tag struct {
	Key   string `json:"key" yaml:"key"`
	Value string `json:"value" yaml:"value"`
}

// identityTags are the resource attributes of which Loki and Prometheus have
// labels.
var identityTags = []tag{
	{"k8s.cluster.name", "cluster"}, {"k8s.namespace.name", "namespace"}, {"k8s.pod.name", "pod"},
}

// SpanLinesQuery finds a span's lines: of its pod, with its trace id or without
// any. Jaeger may leave out an id's leading zeros.
const SpanLinesQuery = `{${__tags}} | trace_id=~"0*${__span.traceId}|"`

func spanLines() map[string]any {
	around := fmt.Sprintf("%.0fm", SpanLinesAround.Minutes())
	return map[string]any{"tracesToLogsV2": map[string]any{
		"datasourceUid": Loki.UID(), "spanStartTimeShift": "-" + around, "spanEndTimeShift": around,
		"tags": identityTags, "customQuery": true, "query": SpanLinesQuery}}
}

func spanMetrics() map[string]any {
	query := func(name, text string) map[string]any { return map[string]any{"name": name, "query": text} }
	return map[string]any{"tracesToMetrics": map[string]any{
		"datasourceUid": Prometheus.UID(), "spanStartTimeShift": "-15m", "spanEndTimeShift": "15m", "tags": identityTags,
		"queries": []any{
			query("Requests of the operation", `sum by (service_name, status_code) (rate(traces_span_metrics_calls_total{span_name="${__span.name}"}[5m]))`),
			query("Latency of the operation", `histogram_quantile(0.95, sum by (service_name, le) (rate(traces_span_metrics_duration_milliseconds_bucket{span_name="${__span.name}"}[5m])))`),
			query("CPU of the pod", `sum by (container) (rate(container_cpu_usage_seconds_total{$__tags, container!="", image!=""}[5m]))`),
			query("Memory of the pod", `sum by (container) (container_memory_working_set_bytes{$__tags, container!="", image!=""})`),
			query("Restarts of the pod", `sum by (container) (increase(kube_pod_container_status_restarts_total{$__tags}[15m]))`),
		}}}
}

// Sources are the data sources of stores at their addresses; links lead only to
// those that have one.
func Sources(addresses map[Store]string) []Source {
	var sources []Source
	for _, store := range Stores() {
		if addresses[store] == "" {
			continue
		}
		settings := Of(store)
		source := settings.Source
		source.URL = addresses[store]
		for target, links := range settings.Links {
			if addresses[target] == "" {
				continue
			}
			for key, value := range links {
				source.JSONData[key] = value
			}
		}
		sources = append(sources, source)
	}
	return sources
}
