package rulecheck

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

const page = `# TYPE requests_total counter
requests_total{service="shop",code="200"} 10
requests_total{service="shop",code="500"} 1
# TYPE pod_info gauge
pod_info{namespace="shop",pod="frontend",node="n1"} 1
# TYPE pod_memory gauge
pod_memory{namespace="shop",pod="frontend"} 7
# TYPE other_memory gauge
other_memory{namespace="data",pod="postgres"} 7
`

const rules = `groups:
  - name: recorded
    rules:
      - record: service:requests:rate5m
        expr: sum by (service) (rate(requests_total[5m]))
      - record: never
        expr: sum(no_such_metric)
`

// Each query with its verdict and a part of the reason.
var cases = map[string]struct {
	expr    string
	verdict Verdict
	reason  string
}{
	"condition not met":          {`requests_total > 1000`, Data, ""},
	"condition on both sides":    {`pod_memory > on (namespace, pod) (pod_info * 100)`, Data, ""},
	"join with partners":         {`pod_memory * on (namespace, pod) group_left (node) pod_info`, Data, ""},
	"absence":                    {`absent(no_such_metric)`, Data, ""},
	"unless what is missing":     {`pod_memory unless no_such_metric`, Data, ""},
	"or, one side":               {`no_such_metric or pod_memory`, Data, ""},
	"scalar":                     {`time() - 3`, Data, ""},
	"no metric":                  {`rate(no_such_metric[5m]) > 0`, Empty, "no such metric: no_such_metric"},
	"no such value":              {`sum(rate(requests_total{service="shop",code="418"}[5m]))`, Empty, `none of its series has code="418"`},
	"values that never meet":     {`pod_memory{namespace="shop",pod=~"front.*"} and pod_memory{pod="x"}`, Empty, `pod="x"`},
	"join without partners":      {`pod_memory + on (namespace, pod) other_memory`, Empty, "on (namespace, pod) joins pod_memory + other_memory"},
	"join of different labels":   {`pod_memory / pod_info`, Empty, "matching on all labels joins pod_memory / pod_info"},
	"both sides of or":           {`no_such_metric or nor_this`, Empty, "nor_this"},
	"recorded, not evaluated":    {`service:requests:rate5m > 0.5`, Pending, "not evaluated yet"},
	"recorded from what is not":  {`never > 1`, Empty, "no such metric: no_such_metric"},
	"no PromQL":                  {`sum(`, Bad, "unclosed left parenthesis"},
	"many-to-many":               {`pod_memory * on (nothing) requests_total`, Bad, "many-to-many"},
	"an inner part is to blame":  {`histogram_quantile(0.9, sum by (le) (rate(gone_bucket[5m])))`, Empty, "gone_bucket"},
	"condition within a join":    {`(pod_memory > 1e9) and on (namespace, pod) (pod_info == 0)`, Data, ""},
	"bool and unary":             {`-(pod_memory > bool 1)`, Data, ""},
	"subquery over a comparison": {`max_over_time((pod_memory > 1e9)[5m:1s])`, Data, ""},
}

// prometheusWith scrapes the page, every second.
func prometheusWith(t *testing.T, page string) *stores.Prometheus {
	t.Helper()
	return prometheusOf(t, 2, func(int) string { return page })
}

// prometheusOf has scraped a page so many times; each time it asks for it anew.
func prometheusOf(t *testing.T, times int, page func(scrape int) string) *stores.Prometheus {
	t.Helper()
	var scrapes atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(page(int(scrapes.Add(1)))))
	}))
	t.Cleanup(target.Close)
	p := stores.TestPrometheus(t, stores.Options{ScrapeTargets: []string{strings.TrimPrefix(target.URL, "http://")}})
	for range 300 {
		if s, err := p.Query(t.Context(), "count_over_time(pod_info[1m])"); err == nil && len(s) > 0 && s[0].Value >= float64(times) {
			return p
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("Prometheus did not scrape the page")
	return nil
}

// Each query of series that have ended with its verdict.
var endedCases = map[string]struct {
	expr    string
	verdict Verdict
}{
	"join":                 {`old_memory * on (namespace, pod) group_left (node) old_info`, Data},
	"condition":            {`old_memory > 100`, Data},
	"join with what is":    {`old_memory * on (namespace, pod) group_left (node) pod_info`, Data},
	"join after the other": {`old_memory * on (namespace, pod) group_left (node) new_info`, Empty},
}

func TestVerdictsOnWhatEnded(t *testing.T) {
	const old = "old_memory{namespace=\"shop\",pod=\"frontend\"} 7\nold_info{namespace=\"shop\",pod=\"frontend\",node=\"n1\"} 1\n"
	const young = "new_info{namespace=\"shop\",pod=\"frontend\",node=\"n1\"} 1\n"
	p := prometheusOf(t, 7, func(scrape int) string {
		switch {
		case scrape <= 3:
			return page + old
		case scrape <= 5:
			return page
		}
		return page + young
	})
	s, err := NewStores(p.URL, "", http.DefaultTransport, 4*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range endedCases {
		results, err := Check(t.Context(), s, []Query{{Name: name, Language: PromQL, Expr: c.expr}})
		if err != nil || results[0].Verdict != c.verdict {
			t.Errorf("%s: %+v, %v; want %s", name, results, err, c.verdict)
		}
	}
}

func TestVerdicts(t *testing.T) {
	p := prometheusWith(t, page)
	s, err := NewStores(p.URL, "", http.DefaultTransport, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := Read("rules.yaml", strings.NewReader(rules))
	if err != nil {
		t.Fatal(err)
	}
	recorded := len(queries)
	var names []string
	for name, c := range cases {
		names = append(names, name)
		queries = append(queries, Query{Name: name, Language: PromQL, Expr: c.expr})
	}
	results, err := Check(t.Context(), s, queries)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		r, want := results[recorded+i], cases[name]
		if r.Verdict != want.verdict || !strings.Contains(r.Reason, want.reason) {
			t.Errorf("%s: %s: %s (%q), want %s (…%q…)", name, want.expr, r.Verdict, r.Reason, want.verdict, want.reason)
		}
	}
}

func TestCommand(t *testing.T) {
	p := prometheusWith(t, page)
	dashboard, err := os.ReadFile(filepath.Join("testdata", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	own := fstest.MapFS{"dashboard.json": {Data: dashboard}, "rules.yaml": {Data: []byte(rules)}}
	var out bytes.Buffer
	cmd := NewCommand(own)
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--prometheus", p.URL, "--all"})
	if err := cmd.ExecuteContext(t.Context()); !errors.Is(err, ErrEmpty) {
		t.Errorf("error %v, want %v", err, ErrEmpty)
	}
	for _, want := range []string{
		"data     dashboard.json  panel By any variable",
		"data     dashboard.json  panel Within a row",
		"empty    dashboard.json  panel Of a label that is not",
		"untried  dashboard.json  panel Lines",
		"empty    rules.yaml      record never",
		"data     dashboard.json  annotation Pods",
		"7 queries: 4 with data, 0 pending, 2 empty, 0 bad, 1 untried",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{"empty.yaml": "", "other.yaml": "kind: Pod", "broken.yaml": "groups: [", "broken.json": "{", "other.json": "{}"} {
		if _, err := Read(name, strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name the file", name, err)
		}
	}
}

func TestLokiRulesAreOfOneLanguage(t *testing.T) {
	queries, err := Read("loki.yaml", strings.NewReader(`
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
spec:
  groups:
    - name: a
      rules:
        - {alert: Errors, expr: 'sum by (namespace) (rate({namespace="a"} |= "error" [5m])) > 1'}
        - {alert: Volume, expr: 'sum(rate({namespace="a"}[5m])) > 1'}
`))
	if err != nil || len(queries) != 2 || queries[0].Language != LogQL || queries[1].Language != LogQL {
		t.Errorf("%+v, %v", queries, err)
	}
}

func TestCommandAsksLoki(t *testing.T) {
	p, l := prometheusWith(t, page), stores.TestLoki(t, stores.Options{})
	s, err := NewStores(p.URL, l.URL, http.DefaultTransport, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	push := `{"streams":[{"stream":{"namespace":"shop"},"values":[["` + nanoseconds(time.Now()) + `","an error"]]}]}`
	resp, err := http.Post(l.URL+"/loki/api/v1/push", "application/json", strings.NewReader(push))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status, err)
	}
	results, err := Check(t.Context(), s, []Query{
		{Language: LogQL, Expr: `{namespace=~"` + anyValue + `"} |= "error"`},
		{Language: LogQL, Expr: `{namespace="other"}`},
		{Language: LogQL, Expr: `{namespace=`},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Verdict{Data, Empty, Bad} {
		if results[i].Verdict != want {
			t.Errorf("%s: %s (%s), want %s", results[i].Expr, results[i].Verdict, results[i].Reason, want)
		}
	}
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func TestHeaderThatIsNoneIsNotShown(t *testing.T) {
	if _, err := newTransport([]string{"Authorization Bearer hidden"}); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
}
