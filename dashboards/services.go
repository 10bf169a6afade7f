package dashboards

import "fmt"

const (
	calls    = `traces_span_metrics_calls_total`
	buckets  = `traces_span_metrics_duration_milliseconds_bucket`
	origin   = `cluster=~"$cluster", namespace=~"$namespace"`
	asked    = origin + `, span_kind=~"$kind"` // requests that a service answers
	served   = asked + `, service_name=~"$service"`
	errorsOf = `, status_code="STATUS_CODE_ERROR"`
	outgoing = origin + `, service_name=~"$service", span_kind=~"SPAN_KIND_CLIENT|SPAN_KIND_PRODUCER"`
)

var serviceVariables = []Variable{
	one("cluster", "Cluster", `label_values(`+calls+`, cluster)`),
	// Spans from outside Kubernetes have no namespace.
	{Name: "namespace", Label: "Namespace", Source: Prometheus, Query: scopes.Replace(`label_values(` + calls + `{<cluster>}, namespace)`), all: ".*"},
	one("service", "Service", `label_values(`+calls+`{<namespace>}, service_name)`),
	{Name: "kind", Label: "Kind of span", kind: fixed, all: ".+",
		values: []string{"SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER", "SPAN_KIND_INTERNAL", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER"},
		chosen: []string{"SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER"}},
}

func services() Dashboard {
	return Dashboard{
		UID: "crowsnest-services", Title: "Services",
		Question:    "Do services answer, in time and without errors?",
		Variables:   serviceVariables,
		Annotations: happenings("<namespace>"),
		Rows: []Row{
			{Title: "All services", Panels: []Panel{
				table("Services", "Requests, errors and latency of every service, from the spans it sends.", needs(needTraces,
					q(`sum by (service_name) (rate(`+calls+`{`+asked+`}[$__rate_interval]))`, "Requests").in(requests),
					q(errorShare("service_name", asked), "Errors").in(ratio).warn(.01, .05),
					q(quantile(.5, "service_name", asked), "p50").in(milliseconds),
					q(quantile(.95, "service_name", asked), "p95").in(milliseconds),
					q(quantile(.99, "service_name", asked), "p99").in(milliseconds))...).
					sortBy("Requests").link(toService, serviceTrace, serviceLogs),
			}},
			{Title: "The chosen service", Panels: []Panel{
				graph("Requests", "Requests per second by their outcome.", requests,
					q(`sum by (status_code) (rate(`+calls+`{`+served+`}[$__rate_interval]))`, "{{status_code}}").needs(needTraces).withExemplars()).stack().fromZero(),
				graph("Errors", "Share of requests whose span says error.", ratio,
					q(errorShare("service_name", served), "{{service_name}}").needs(needTraces)).share().warn(.01, .05),
				graph("Latency", "How long requests take. A diamond is one request: it opens its trace.", milliseconds, needs(needTraces,
					q(quantile(.5, "", served), "p50").withExemplars(), q(quantile(.95, "", served), "p95").withExemplars(), q(quantile(.99, "", served), "p99").withExemplars())...).fromZero(),
				heat("Latency by share", "Requests by duration: two bands are two kinds of request. A diamond opens its trace.", milliseconds,
					q(`sum by (le) (increase(`+buckets+`{`+served+`}[$__rate_interval]))`, "{{le}}").needs(needTraces).withExemplars()),
			}},
			{Title: "Its operations", Panels: []Panel{
				table("Operations", "Requests, errors and latency of each operation.", needs(needTraces,
					q(`sum by (span_name, span_kind) (rate(`+calls+`{`+served+`}[$__rate_interval]))`, "Requests").in(requests),
					q(errorShare("span_name, span_kind", served), "Errors").in(ratio).warn(.01, .05),
					q(quantile(.5, "span_name, span_kind", served), "p50").in(milliseconds),
					q(quantile(.95, "span_name, span_kind", served), "p95").in(milliseconds),
					q(quantile(.99, "span_name, span_kind", served), "p99").in(milliseconds))...).sortBy("Requests"),
				graph("What it asks of others", "Requests per second that the service itself sends, by operation.", requests,
					q(`sum by (span_name) (rate(`+calls+`{`+outgoing+`}[$__rate_interval]))`, "{{span_name}}").needs(needTraces)).fromZero(),
				graph("How long others take", "95th percentile of the requests that the service itself sends.", milliseconds,
					q(quantile(.95, "span_name", outgoing), "{{span_name}}").needs(needTraces).withExemplars()).fromZero(),
			}},
			{Title: "Traces and lines", Panels: []Panel{
				traces("Newest traces", "The newest traces of the service.", search("$service", "").needs(needTraces)),
				traces("Failed traces", "The newest traces with an error in the service.", search("$service", "error=true").needs(needErrors)).good("No errors"),
				bars("Lines by severity", "Lines that the service's containers wrote.", lines,
					lq(`sum by (detected_level) (count_over_time({cluster=~"$cluster", service_name=~"$service"} [$__auto]))`, "{{detected_level}}").needs(needTraces)).size(gridWidth, 6),
				records("Lines with errors", "The newest lines of severity error and above.",
					lq(`{cluster=~"$cluster", service_name=~"$service"} | detected_level=~"error|critical|fatal"`, "").needs(needErrors)),
			}},
		},
	}
}

// errorShare is 0 where there are requests and none failed.
func errorShare(by, matchers string) string {
	all := `sum by (` + by + `) (rate(` + calls + `{` + matchers + `}[$__rate_interval]))`
	failed := `sum by (` + by + `) (rate(` + calls + `{` + matchers + errorsOf + `}[$__rate_interval]))`
	return `(` + failed + ` or ` + all + ` * 0) / ` + all
}

// quantile is of requests' durations in milliseconds.
func quantile(share float64, by, matchers string) string {
	if by != "" {
		by = ", " + by
	}
	return fmt.Sprintf(`histogram_quantile(%v, sum by (le%s) (rate(%s{%s}[$__rate_interval])))`, share, by, buckets, matchers)
}
