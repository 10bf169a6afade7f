package rules

// logs are alerts for Loki's ruler. Loki finds the level of a line itself. A service
// that has logged for less than its history has no errors before to compare with:
// without that, all services would alert when their lines are first collected.
func logs() []Alert {
	const service = `(cluster, namespace, service_name)`
	errors := func(window string) string {
		return `sum by ` + service + ` (count_over_time({namespace=~".+"<ns>} | detected_level=~"error|critical|fatal" [` + window + `))`
	}
	return []Alert{
		{Name: "LogErrorSpike", Severity: warning, For: "5m", Board: "logs namespace", Params: map[string]string{"minimum": "50", "factor": "5", "history": "15m"}, Expr: `
		(
			` + errors("5m]") + ` > <minimum>
		)
		unless on ` + service + `
		(
			` + errors("5m]") + `
			<= on ` + service + `
			` + errors("1h] offset 5m") + ` / 12 * <factor>
		)
		and on ` + service + `
		sum by ` + service + ` (count_over_time({namespace=~".+"<ns>} [5m] offset <history>)) > 0`,
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
