//go:build e2e

package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/crowsnest-o11y/crowsnest/dashboards"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
	"github.com/crowsnest-o11y/crowsnest/test/world"
)

// exercise has real stores, which have nothing but what is made for it, answer
// the queries that the cluster had no data for.
func exercise(t *testing.T, all []*item) {
	t.Helper()
	missing := map[string][]*item{}
	for _, i := range all {
		switch {
		case i.data:
		case i.source == dashboards.Loki:
			missing["logs"] = append(missing["logs"], i)
		case i.panel:
			missing["panels"] = append(missing["panels"], i)
		default:
			missing["rules"] = append(missing["rules"], i)
		}
	}
	exercisePanels(t, missing["panels"])
	exerciseRules(t, missing["rules"])
	exerciseLogs(t, missing["logs"])
}

// exercisePanels lets a Prometheus scrape the made-up cluster.
func exercisePanels(t *testing.T, missing []*item) {
	t.Helper()
	var expressions []string
	for _, i := range missing {
		if i.source == dashboards.Prometheus {
			expressions = append(expressions, i.expr)
		}
	}
	w, err := world.New(expressions)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w)
	defer server.Close()
	prometheus := stores.TestPrometheus(t, stores.Options{ScrapeTargets: []string{strings.TrimPrefix(server.URL, "http://")}})
	if err := w.Seen(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, i := range missing {
		if i.source != dashboards.Prometheus {
			continue
		}
		for _, at := range w.Moments() {
			samples, err := prometheus.QueryAt(t.Context(), i.expr, at)
			if err != nil {
				t.Errorf("%s: %s: %v", i.file, i.name, err)
			}
			i.proved = i.proved || len(samples) > 0
		}
	}
}

// ruleTest is a case of a file for promtool.
type ruleTest struct {
	Name        string `yaml:"name"`
	Interval    string `yaml:"interval"`
	InputSeries []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	AlertRuleTest []struct {
		AlertName string `yaml:"alertname"`
		EvalTime  string `yaml:"eval_time"`
		ExpAlerts []any  `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
	PromqlExprTest []struct {
		EvalTime string `yaml:"eval_time"`
	} `yaml:"promql_expr_test"`
}

// of tells whether the case is one in which the rule returns data, and when.
func (c ruleTest) of(i *item) (at time.Duration, ok bool) {
	text := ""
	switch {
	case !i.alert && c.Name == i.rule && len(c.PromqlExprTest) > 0:
		text = c.PromqlExprTest[0].EvalTime
	case i.alert && strings.HasPrefix(c.Name, i.rule+" ") && len(c.AlertRuleTest) > 0 && len(c.AlertRuleTest[0].ExpAlerts) > 0:
		text = c.AlertRuleTest[0].EvalTime
	default:
		return 0, false
	}
	d, err := model.ParseDuration(text)
	return time.Duration(d), err == nil
}

func readRuleTests(t *testing.T, file string) []ruleTest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "dashboards/rules/promtool", file+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var tests struct {
		Tests []ruleTest `yaml:"tests"`
	}
	if err := yaml.Unmarshal(text, &tests); err != nil {
		t.Fatal(err)
	}
	return tests.Tests
}

// oldest is how far back the series of a case begin at most.
const oldest = 9 * 24 * time.Hour

// exerciseRules writes the series of each rule's own test, in which it fires, into
// a Prometheus, in a cluster of their own.
func exerciseRules(t *testing.T, missing []*item) {
	t.Helper()
	prometheus := stores.TestPrometheus(t, stores.Options{OutOfOrderWindow: 2 * oldest})
	begin := time.Now().Add(-oldest).Truncate(time.Minute)
	for n, i := range missing {
		for _, c := range readRuleTests(t, i.file) {
			at, ok := c.of(i)
			if !ok || i.proved {
				continue
			}
			prefix := fmt.Sprintf("case%d-", n)
			if err := writeSeries(t.Context(), prometheus.URL, c, prefix, begin); err != nil {
				t.Errorf("%s: %s: %v", i.file, i.name, err)
				continue
			}
			samples, err := prometheus.QueryAt(t.Context(), i.expr, begin.Add(at))
			if err != nil {
				t.Errorf("%s: %s: %v", i.file, i.name, err)
			}
			i.proved = slices.ContainsFunc(samples, func(s stores.Sample) bool { return strings.HasPrefix(s.Labels["cluster"], prefix) })
		}
	}
}

// writeSeries writes by remote write, with prefix before the clusters' names.
func writeSeries(ctx context.Context, base string, c ruleTest, prefix string, begin time.Time) error {
	interval, err := model.ParseDuration(c.Interval)
	if err != nil {
		return fmt.Errorf("parse interval: %w", err)
	}
	var request prompb.WriteRequest
	for _, s := range c.InputSeries {
		ls, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(s.Series + " " + s.Values)
		if err != nil {
			return fmt.Errorf("parse series: %w", err)
		}
		made := ls.Map()
		made["cluster"] = prefix + made["cluster"]
		series := prompb.TimeSeries{}
		for _, name := range slices.Sorted(maps.Keys(made)) {
			series.Labels = append(series.Labels, prompb.Label{Name: name, Value: made[name]})
		}
		for n, v := range values {
			if !v.Omitted {
				at := begin.Add(time.Duration(n) * time.Duration(interval))
				series.Samples = append(series.Samples, prompb.Sample{Timestamp: at.UnixMilli(), Value: v.Value})
			}
		}
		request.Timeseries = append(request.Timeseries, series)
	}
	body, err := request.Marshal()
	if err != nil {
		return fmt.Errorf("encode series: %w", err)
	}
	header := http.Header{"Content-Encoding": {"snappy"}, "Content-Type": {"application/x-protobuf"}, "X-Prometheus-Remote-Write-Version": {"0.1.0"}}
	return post(ctx, base+"/api/v1/write", header, snappy.Encode(nil, body))
}

func post(ctx context.Context, target string, header http.Header, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if answer.StatusCode/100 != 2 {
		return errors.Join(fmt.Errorf("POST %s: %s: %s", target, answer.Status, text), err)
	}
	return nil
}

// exerciseLogs pushes lines of all that LogQL of ours looks for into a Loki.
func exerciseLogs(t *testing.T, missing []*item) {
	t.Helper()
	if len(missing) == 0 {
		return
	}
	loki := stores.TestLoki(t, stores.Options{})
	metadata := map[string]string{"trace_id": strings.Repeat("ab", 16), "k8s_deployment_name": "web"}
	// There is a time before the errors.
	values := []any{[]any{strconv.FormatInt(time.Now().Add(-17*time.Minute).UnixNano(), 10), "level=info msg=served", metadata}}
	for n := range 200 {
		at := strconv.FormatInt(time.Now().Add(-time.Second).UnixNano()+int64(n), 10)
		for _, line := range []string{"level=error msg=failed", "level=info msg=served", "panic: runtime error: index out of range"} {
			values = append(values, []any{at, line + " n=" + strconv.Itoa(n), metadata})
		}
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"values": values, "stream": map[string]string{
		"cluster": "c1", "namespace": "shop", "pod": "web-0", "container": "web", "service_name": "web", "node": "node-1", "stream": "stderr"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := post(t.Context(), loki.URL+"/loki/api/v1/push", http.Header{"Content-Type": {"application/json"}}, body); err != nil {
		t.Fatal(err)
	}
	for _, i := range missing {
		var answer struct {
			Data struct{ Result []json.RawMessage }
		}
		query := url.Values{"query": {i.expr}, "step": {"60"}, "start": {strconv.FormatInt(time.Now().Add(-time.Hour).UnixNano(), 10)},
			"end": {strconv.FormatInt(time.Now().Add(time.Second).UnixNano(), 10)}}
		if err := loki.Get(t.Context(), "/loki/api/v1/query_range", query, &answer); err != nil {
			t.Errorf("%s: %s: %v", i.file, i.name, err)
		}
		i.proved = len(answer.Data.Result) > 0
	}
}
