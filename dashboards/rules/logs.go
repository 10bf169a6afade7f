package rules

// logs are alerts for Loki's ruler. Loki finds the level of a line itself.
func logs() []Alert {
	errors := func(window string) string {
		return `sum by (cluster, namespace, service_name) (count_over_time({namespace=~".+"<ns>} | detected_level=~"error|critical|fatal" [` + window + `))`
	}
	return []Alert{
		{Name: "LogErrorSpike", Severity: warning, For: "5m", Board: "logs namespace", Params: map[string]string{"minimum": "50", "factor": "5"}, Expr: `
		(
			` + errors("5m]") + ` > <minimum>
		)
		unless on (cluster, namespace, service_name)
		(
			` + errors("5m]") + `
			<= on (cluster, namespace, service_name)
			` + errors("1h] offset 5m") + ` / 12 * <factor>
		)`,
			Summary: "A service logs many more errors than before.",
			Text:    `Service {{ $labels.service_name }} (namespace {{ $labels.namespace }}) logged {{ $value }} errors in 5 minutes, more than <factor> times as many as in the hour before.`},
		{Name: "LogStackTrace", Severity: info, Board: "logs namespace pod", Expr: `
		sum by (cluster, namespace, pod, container) (count_over_time(
			{namespace=~".+"<ns>} |~ "^panic: |^fatal error: |^Traceback \\(most recent call last\\)|^Exception in thread " [5m]
		)) > 0`,
			Summary: "A program crashed, by its log.",
			Text:    `Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} logged {{ $value }} panics or uncaught exceptions in 5 minutes.`},
	}
}
