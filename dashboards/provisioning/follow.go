package provisioning

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// The functions below follow the data sources' links as Grafana does, so that a
// check can send the same queries to the stores.

// ExemplarTrace is the trace that an exemplar with these labels opens.
func ExemplarTrace(labels map[string]string) (id string, ok bool) {
	id, ok = labels[exemplarLabel]
	return id, ok
}

// LineTrace is the trace that a line with these labels and structured metadata
// opens.
func LineTrace(labels map[string]string) (id string, ok bool) {
	matcher := regexp.MustCompile(lineLabel)
	for label, value := range labels {
		if matcher.MatchString(label) {
			return value, true
		}
	}
	return "", false
}

// SpanLines is the LogQL query for the lines of a span with these attributes,
// those of its resource included; false if Grafana offers no link, as the span
// has none of the attributes that it needs.
func SpanLines(attributes map[string]string, traceID string) (query string, ok bool) {
	var matchers []string
	for _, tag := range identityTags {
		if value := attributes[tag.Key]; value != "" {
			matchers = append(matchers, fmt.Sprintf("%s=%q", tag.Value, value))
		}
	}
	query = strings.NewReplacer("${__tags}", strings.Join(matchers, ", "), "${__span.traceId}", traceID).Replace(SpanLinesQuery)
	return query, len(matchers) > 0
}

// SpanLinesAround is the time before a span's begin and after its end in which
// its lines are looked for.
const SpanLinesAround = time.Minute
