package dashboards

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
	"github.com/crowsnest-o11y/crowsnest/test/world"
)

// Every PromQL query of every panel and annotation returns data from a real
// Prometheus that has the series it reads: selectors match, joins have partners,
// and no join has two.
func TestPromQLReturnsData(t *testing.T) {
	var texts []string
	for _, expression := range promQL() {
		texts = append(texts, expression.text)
	}
	w, err := world.New(texts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w)
	defer server.Close()
	prometheus := stores.TestPrometheus(t, stores.Options{ScrapeTargets: []string{strings.TrimPrefix(server.URL, "http://")}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := w.Seen(ctx); err != nil {
		t.Fatal(err)
	}
	for _, expression := range promQL() {
		found := 0
		for _, at := range w.Moments() {
			samples, err := prometheus.QueryAt(ctx, expression.text, at)
			if err != nil {
				t.Errorf("%s: %v\n%s", expression.where, err, expression.text)
				break
			}
			found += len(samples)
		}
		if found == 0 {
			t.Errorf("%s returns nothing\n%s", expression.where, expression.text)
		}
	}
}

// Every LogQL query of every panel and annotation returns data from a real Loki
// that has lines as the exporter writes them.
func TestLogQLReturnsData(t *testing.T) {
	loki := stores.TestLoki(t, stores.Options{})
	pushLines(t, loki)
	for _, expression := range expressions(Loki) {
		found, err := askLoki(t.Context(), loki, expression.text, expression.instant)
		if err != nil {
			t.Errorf("%s: %v\n%s", expression.where, err, expression.text)
		} else if len(found) == 0 {
			t.Errorf("%s returns nothing\n%s", expression.where, expression.text)
		}
		for _, label := range expression.labels {
			if len(found) > 0 && found[0][label] == "" {
				t.Errorf("%s: legend or title reads label %s; found %v", expression.where, label, found[0])
			}
		}
	}
}

func pushLines(t *testing.T, loki *stores.Loki) {
	t.Helper()
	now := strconv.FormatInt(time.Now().Add(-time.Second).UnixNano(), 10)
	metadata := map[string]string{"trace_id": strings.Repeat("ab", 16), "k8s_deployment_name": "web"}
	event := map[string]string{"severity": "WARN", "k8s_event_reason": "BackOff", "k8s_object_kind": "Pod", "k8s_object_name": "web-0", "k8s_node_name": "node-1"}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{
		"stream": map[string]string{"namespace": "shop", "pod": "web-0", "container": "web", "service_name": "web", "node": "node-1", "stream": "stderr"},
		"values": []any{[]any{now, "level=error msg=failed", metadata}, []any{now, "level=info msg=served", metadata}},
	}, map[string]any{
		"stream": map[string]string{"namespace": "shop", "service_name": "kubernetes-events"},
		"values": []any{[]any{now, "BackOff Pod shop/web-0: Back-off restarting failed container", event}},
	}}})
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

// askLoki gives the labels of the series or streams that a query finds.
func askLoki(ctx context.Context, loki *stores.Loki, text string, instant bool) ([]map[string]string, error) {
	now := time.Now()
	path, query := "/loki/api/v1/query_range", url.Values{"query": {text}, "step": {"60"},
		"start": {strconv.FormatInt(now.Add(-time.Hour).UnixNano(), 10)}, "end": {strconv.FormatInt(now.Add(time.Second).UnixNano(), 10)}}
	if instant {
		path, query = "/loki/api/v1/query", url.Values{"query": {text}, "time": {strconv.FormatInt(now.Add(time.Second).UnixNano(), 10)}}
	}
	var answer struct {
		Data struct {
			Result []struct{ Metric, Stream map[string]string }
		}
	}
	err := loki.Get(ctx, path, query, &answer)
	var found []map[string]string
	for _, series := range answer.Data.Result {
		if series.Stream != nil {
			series.Metric = series.Stream
		}
		found = append(found, series.Metric)
	}
	return found, err
}
