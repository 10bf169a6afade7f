package statuspage

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "a token of some length"

func writeToken(t testing.TB, token string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// host has the page among its extensions.
type host struct{ page *Page }

func (h host) GetExtensions() map[component.ID]component.Component {
	if h.page == nil {
		return nil
	}
	return map[component.ID]component.Component{component.MustNewID("statuspage"): h.page}
}

// startPage serves a page on a free port of loopback; its address is returned.
func startPage(t testing.TB, change func(*Config)) (*Page, string) {
	t.Helper()
	cfg := defaultConfig().(*Config)
	cfg.Server.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.Replica = "aggregator-0"
	if change != nil {
		change(cfg)
	}
	if cfg.Server.NetAddr.Endpoint == "127.0.0.1:0" {
		cfg.Server.NetAddr.Endpoint = freeAddress(t)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	e, err := NewFactory().Create(context.Background(), extensiontest.NewNopSettings(NewFactory().Type()), cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := e.(*Page)
	if err := p.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p, cfg.Server.NetAddr.Endpoint
}

func freeAddress(t testing.TB) string {
	t.Helper()
	server := http.Server{}
	defer server.Close()
	cfg := defaultConfig().(*Config)
	cfg.Server.NetAddr.Endpoint = "127.0.0.1:0"
	l, err := cfg.Server.ToListener(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// person is a browser without a screen: it has cookies and follows no redirect.
type person struct {
	t      *testing.T
	client *http.Client
	base   string
	cookie string
}

func newPerson(t *testing.T, address string) *person {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &person{t: t, base: "http://" + address, client: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

type answer struct {
	*http.Response
	body string
}

func (p *person) do(req *http.Request) answer {
	p.t.Helper()
	if p.cookie != "" {
		req.Header.Set("Cookie", p.cookie)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		p.cookie = c.Name + "=" + c.Value
	}
	return answer{resp, string(body)}
}

func (p *person) get(path string, headers ...string) answer {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.base+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	return p.do(req)
}

func (p *person) post(path string, form url.Values, headers ...string) answer {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return p.do(req)
}

// taps are those of an aggregator with the page; what passes is kept by sinks.
type taps struct {
	logs        processor.Logs
	metrics     processor.Metrics
	logsSink    *consumertest.LogsSink
	metricsSink *consumertest.MetricsSink
}

func startTaps(t testing.TB, page *Page) taps {
	t.Helper()
	f, set := NewTapFactory(), processortest.NewNopSettings(NewTapFactory().Type())
	s := taps{logsSink: &consumertest.LogsSink{}, metricsSink: &consumertest.MetricsSink{}}
	var err error
	if s.logs, err = f.CreateLogs(context.Background(), set, f.CreateDefaultConfig(), s.logsSink); err != nil {
		t.Fatal(err)
	}
	if s.metrics, err = f.CreateMetrics(context.Background(), set, f.CreateDefaultConfig(), s.metricsSink); err != nil {
		t.Fatal(err)
	}
	for _, c := range []component.Component{s.logs, s.metrics} {
		if err := c.Start(context.Background(), host{page}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// sample is a point of a test's page.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// reading is one scrape of a program at a time.
func reading(job, instance string, at time.Time, samples ...sample) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", job)
	rm.Resource().Attributes().PutStr("service.instance.id", instance)
	rm.Resource().Attributes().PutStr("k8s.cluster.name", "demo")
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	for _, s := range samples {
		m := metrics.AppendEmpty()
		m.SetName(s.name)
		dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
		dp.SetTimestamp(pcommon.NewTimestampFromTime(at))
		dp.SetDoubleValue(s.value)
		for k, v := range s.labels {
			dp.Attributes().PutStr(k, v)
		}
	}
	return md
}

// items is a reading's sample of the ledger.
func items(fate, signal, component string, value float64, reason ...string) sample {
	s := sample{name: "crowsnest_" + fate + "_items_total", labels: map[string]string{"signal": signal, "component": component}, value: value}
	if fate == "queued" {
		s.name = "crowsnest_queued_items"
	}
	if len(reason) > 0 {
		s.labels["reason"] = reason[0]
	}
	return s
}

// record is a batch of one log line of a pod.
func record(namespace, pod, container, body string) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("k8s.namespace.name", namespace)
	rl.Resource().Attributes().PutStr("k8s.pod.name", pod)
	rl.Resource().Attributes().PutStr("k8s.container.name", container)
	rl.Resource().Attributes().PutStr("k8s.node.name", "node-1")
	r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	r.SetTimestamp(pcommon.NewTimestampFromTime(time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)))
	r.Body().SetStr(body)
	return ld
}
