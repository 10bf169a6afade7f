package rules

// windows are those of the burn rate alerts.
var windows = []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"}

// serviceRecords sum span metrics by service, of spans that answer somebody: the
// spans inside of a request would count it again.
func serviceRecords() File {
	const answering = `span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"`
	var records []Record
	for _, w := range windows {
		records = append(records,
			Record{Name: "service_status:traces_span_metrics_calls:rate" + w, Expr: `
		sum by (cluster, namespace, service_name, status_code) (rate(traces_span_metrics_calls_total{` + answering + `}[` + w + `]))`},
			Record{Name: "service_le:traces_span_metrics_duration_milliseconds:rate" + w, Expr: `
		sum by (cluster, namespace, service_name, le) (rate(traces_span_metrics_duration_milliseconds_bucket{` + answering + `}[` + w + `]))`})
	}
	return File{Name: "service-records", Groups: []Group{{Name: "crowsnest-services.rules", Records: records}}}
}
