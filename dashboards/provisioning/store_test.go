package provisioning

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// A span leads to the lines of its trace and to those that know of no trace,
// in its own pod; Jaeger's ids may lack their leading zeros.
func TestSpanLinesQuery(t *testing.T) {
	const id = "00ab34567890abcdef1234567890abcd"
	loki := stores.TestLoki(t, stores.Options{})
	push(t, loki, "web-0", map[string]string{"of the trace": id, "of another": strings.Repeat("c", 32), "of none": ""})
	push(t, loki, "web-1", map[string]string{"of another pod": ""})
	for _, trace := range []string{id, strings.TrimLeft(id, "0")} {
		query, ok := SpanLines(map[string]string{"k8s.namespace.name": "shop", "k8s.pod.name": "web-0", "http.route": "/"}, trace)
		if !ok {
			t.Fatal("no query")
		}
		entries, err := loki.Query(t.Context(), query, time.Now().Add(-time.Minute), time.Now().Add(time.Minute), 10)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, entry := range entries {
			lines = append(lines, entry.Line)
		}
		slices.Sort(lines)
		if want := []string{"of none", "of the trace"}; !slices.Equal(lines, want) {
			t.Errorf("trace %s: lines %q, want %q", trace, lines, want)
		}
	}
}

// push writes lines with their trace ids.
func push(t *testing.T, loki *stores.Loki, pod string, lines map[string]string) {
	t.Helper()
	var values []any
	for line, trace := range lines {
		metadata := map[string]string{"k8s_deployment_name": "web"}
		if trace != "" {
			metadata["trace_id"] = trace
		}
		values = append(values, []any{strconv.FormatInt(time.Now().UnixNano(), 10), line, metadata})
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{
		"stream": map[string]string{"namespace": "shop", "pod": pod}, "values": values}}})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, loki.URL+"/loki/api/v1/push", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode/100 != 2 {
		t.Fatalf("push: %s", answer.Status)
	}
}
