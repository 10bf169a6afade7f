package rules

// services are burn rate alerts on span metrics, by service; burns has the windows.
func services() []Alert {
	var alerts []Alert
	for _, b := range burns {
		alerts = append(alerts, errorBurn(b), latencyBurn(b))
	}
	return alerts
}

const byService = `(cluster, namespace, service_name)`

// busyEnough leaves services out where single requests would decide.
func busyEnough(window string) string {
	return `
		and on ` + byService + `
		sum by ` + byService + ` (service_status:traces_span_metrics_calls:rate` + window + `) > <minimum>`
}

func errorBurn(b burn) Alert {
	share := func(window string) string {
		const calls = `service_status:traces_span_metrics_calls:rate`
		return `
		sum by ` + byService + ` (` + calls + window + `{status_code="STATUS_CODE_ERROR"<ns>})
		/
		sum by ` + byService + ` (` + calls + window + `) > ` + b.factor + ` * <budget>`
	}
	return Alert{Name: "ServiceErrorBudgetBurn", Variant: b.long + b.short, Severity: b.severity, For: b.wait,
		Labels: map[string]string{"long": b.long, "short": b.short}, Board: "services namespace service=service_name",
		// budget: the share of requests that may fail; minimum: requests per second.
		Params:  map[string]string{"budget": "0.01", "minimum": "0.01"},
		Expr:    share(b.long) + "\n\t\tand on " + byService + share(b.short) + busyEnough(b.long),
		Summary: "A service fails too often.",
		Text: `{{ $value | humanizePercentage }} of the requests to service {{ $labels.service_name }} (namespace {{ $labels.namespace }}) failed in ` + b.long +
			`, ` + b.factor + ` times the share of <budget> that its objective allows or more.`}
}

func latencyBurn(b burn) Alert {
	share := func(window string) string {
		const buckets = `service_le:traces_span_metrics_duration_milliseconds:rate`
		return `
		1 - (
			sum by ` + byService + ` (` + buckets + window + `{le=~"<milliseconds>(\\.0)?"<ns>})
		/
			sum by ` + byService + ` (` + buckets + window + `{le="+Inf"})
		) > ` + b.factor + ` * <budget>`
	}
	return Alert{Name: "ServiceLatencyBudgetBurn", Variant: b.long + b.short, Severity: b.severity, For: b.wait,
		Labels: map[string]string{"long": b.long, "short": b.short}, Board: "services namespace service=service_name",
		// milliseconds must be a bound of the histogram's buckets.
		Params:  map[string]string{"budget": "0.05", "minimum": "0.01", "milliseconds": "1000"},
		Expr:    share(b.long) + "\n\t\tand on " + byService + share(b.short) + busyEnough(b.long),
		Summary: "A service is too slow too often.",
		Text: `{{ $value | humanizePercentage }} of the requests to service {{ $labels.service_name }} (namespace {{ $labels.namespace }}) took longer than <milliseconds> ms in ` + b.long +
			`, ` + b.factor + ` times the share of <budget> that its objective allows or more.`}
}
