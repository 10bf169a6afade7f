package rules

import "strings"

// Verbs of the API server's objectives.
const (
	readVerbs  = `LIST|GET`
	writeVerbs = `POST|PUT|PATCH|DELETE`
	// Requests that last as long as their client wants say nothing about the server.
	served = `subresource!~"proxy|attach|log|exec|portforward"`
)

// An objective is met by an answer that is no error and comes in time: writes
// and reads of one object within 1 s, of a namespace 5 s, of the cluster 30 s.

func apiserverRecords() File {
	var burn []Record
	for _, window := range []string{"1d", "1h", "2h", "30m", "3d", "5m", "6h"} {
		burn = append(burn, burnRate(window, "read", readVerbs, inTime), burnRate(window, "write", writeVerbs, inTime1s))
	}
	return File{Name: "apiserver-records", Groups: []Group{
		{Name: "kube-apiserver-burnrate.rules", Records: burn},
		{Name: "kube-apiserver-histogram.rules", Records: []Record{
			latencyQuantile("read", readVerbs), latencyQuantile("write", writeVerbs),
		}},
		{Name: "kube-apiserver-availability.rules", Interval: "3m", Records: availability()},
	}}
}

const (
	inTime1s = `<bucket>{<in>le=~"1(\\.0)?"}<w>`
	inTime   = `<bucket>{<in>scope=~"resource|",le=~"1(\\.0)?"}<w>
				or <bucket>{<in>scope="namespace",le=~"5(\\.0)?"}<w>
				or <bucket>{<in>scope="cluster",le=~"30(\\.0)?"}<w>`
)

// burnRate is the share of requests that miss the objective.
func burnRate(window, verb, verbs, fast string) Record {
	fast = fill(fast, map[string]string{"bucket": "apiserver_request_sli_duration_seconds_bucket",
		"in": `job="apiserver",verb=~"` + verbs + `",` + served + `,`, "w": "[" + window + "]"})
	fast = strings.ReplaceAll(fast, "apiserver_request", "rate(apiserver_request")
	fast = strings.ReplaceAll(fast, "["+window+"]", "["+window+"])")
	return Record{Name: "apiserver_request:burnrate" + window, Labels: map[string]string{"verb": verb},
		Expr: fill(`
		(
			(
				sum by (cluster) (rate(apiserver_request_sli_duration_seconds_count{job="apiserver",verb=~"<verbs>",<served>}[<w>]))
			-
				sum by (cluster) (
				<fast>
				)
			)
			+
			(
				sum by (cluster) (rate(apiserver_request_total{job="apiserver",verb=~"<verbs>",code=~"5.."}[<w>]))
			or
				0 * sum by (cluster) (rate(apiserver_request_total{job="apiserver",verb=~"<verbs>"}[<w>]))
			)
		)
		/
		sum by (cluster) (rate(apiserver_request_total{job="apiserver",verb=~"<verbs>"}[<w>]))`,
			map[string]string{"verbs": verbs, "w": window, "fast": fast, "served": served})}
}

func latencyQuantile(verb, verbs string) Record {
	return Record{Name: "cluster_quantile:apiserver_request_sli_duration_seconds:histogram_quantile",
		Labels: map[string]string{"verb": verb, "quantile": "0.99"}, Expr: `
		histogram_quantile(0.99,
			sum by (cluster, le, resource) (
				rate(apiserver_request_sli_duration_seconds_bucket{job="apiserver",verb=~"` + verbs + `",` + served + `}[5m])
			)
		) > 0`}
}

func availability() []Record {
	const (
		bucket1h  = "cluster_verb_scope_le:apiserver_request_sli_duration_seconds_bucket:increase1h"
		bucket30d = "cluster_verb_scope_le:apiserver_request_sli_duration_seconds_bucket:increase30d"
		count1h   = "cluster_verb_scope:apiserver_request_sli_duration_seconds_count:increase1h"
		count30d  = "cluster_verb_scope:apiserver_request_sli_duration_seconds_count:increase30d"
	)
	records := []Record{
		{Name: "code_verb:apiserver_request_total:increase1h", Expr: `
		sum by (cluster, code, verb) (
			increase(apiserver_request_total{job="apiserver",verb=~"` + readVerbs + "|" + writeVerbs + `",code=~"[2345].."}[1h])
		)`},
		{Name: "code_verb:apiserver_request_total:increase30d", Expr: `avg_over_time(code_verb:apiserver_request_total:increase1h[30d]) * 24 * 30`},
		{Name: "code:apiserver_request_total:increase30d", Labels: map[string]string{"verb": "read"},
			Expr: `sum by (cluster, code) (code_verb:apiserver_request_total:increase30d{verb=~"` + readVerbs + `"})`},
		{Name: "code:apiserver_request_total:increase30d", Labels: map[string]string{"verb": "write"},
			Expr: `sum by (cluster, code) (code_verb:apiserver_request_total:increase30d{verb=~"` + writeVerbs + `"})`},
		{Name: bucket1h, Expr: `
		sum by (cluster, verb, scope, le) (
			increase(apiserver_request_sli_duration_seconds_bucket{job="apiserver",` + served + `}[1h])
		)`},
		{Name: bucket30d, Expr: `sum by (cluster, verb, scope, le) (avg_over_time(` + bucket1h + `[30d]) * 24 * 30)`},
		{Name: count1h, Expr: `sum by (cluster, verb, scope) (` + bucket1h + `{le="+Inf"})`},
		{Name: count30d, Expr: `sum by (cluster, verb, scope) (` + bucket30d + `{le="+Inf"})`},
	}
	// met gives the share of requests of 30 days that met the objective.
	met := func(verb, verbs, fast string) Record {
		code := "code:apiserver_request_total:increase30d"
		total, errors := code+`{verb="`+verb+`"}`, code+`{verb="`+verb+`",code=~"5.."}`
		if verb == "all" {
			total, errors = code, code+`{code=~"5.."}`
		}
		return Record{Name: "apiserver_request:availability30d", Labels: map[string]string{"verb": verb}, Expr: `
		1 - (
			(
				sum by (cluster) (` + count30d + `{verb=~"` + verbs + `"})
			-
				sum by (cluster) (
				` + fast + `
				)
			)
			+
			(
				sum by (cluster) (` + errors + `)
			or
				0 * sum by (cluster) (` + total + `)
			)
		)
		/
		sum by (cluster) (` + total + `)`}
	}
	of := func(fast, verbs string) string {
		return fill(fast, map[string]string{"bucket": bucket30d, "in": `verb=~"` + verbs + `",`, "w": ""})
	}
	return append(records,
		met("all", writeVerbs+"|"+readVerbs, of(inTime1s, writeVerbs)+"\n\t\t\t\tor "+of(inTime, readVerbs)),
		met("read", readVerbs, of(inTime, readVerbs)),
		met("write", writeVerbs, of(inTime1s, writeVerbs)),
		Record{Name: "code_resource:apiserver_request_total:rate5m", Labels: map[string]string{"verb": "read"},
			Expr: `sum by (cluster, code, resource) (rate(apiserver_request_total{job="apiserver",verb=~"` + readVerbs + `"}[5m]))`},
		Record{Name: "code_resource:apiserver_request_total:rate5m", Labels: map[string]string{"verb": "write"},
			Expr: `sum by (cluster, code, resource) (rate(apiserver_request_total{job="apiserver",verb=~"` + writeVerbs + `"}[5m]))`},
	)
}
