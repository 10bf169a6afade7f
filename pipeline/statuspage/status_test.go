package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// statusOf reads /api/v1/status.
func statusOf(t *testing.T, p *person, headers ...string) Status {
	t.Helper()
	got := p.get("/api/v1/status", headers...)
	var s Status
	if err := json.Unmarshal([]byte(got.body), &s); err != nil || got.StatusCode != http.StatusOK {
		t.Fatalf("status %d (%v): %s", got.StatusCode, err, got.body)
	}
	return s
}

func pass(t *testing.T, s taps, md pmetric.Metrics) {
	t.Helper()
	if err := s.metrics.ConsumeMetrics(context.Background(), md); err != nil {
		t.Fatal(err)
	}
}

func TestAgentsAreSeen(t *testing.T) {
	page, address := startPage(t, nil)
	taps, p := startTaps(t, page), newPerson(t, address)
	now := time.Now()
	pass(t, taps, reading(agentJob, "node-1", now.Add(-15*time.Second),
		items("received", "logs", "containerlogs", 1000), items("delivered", "logs", "otlp", 1000),
		sample{"target_info", map[string]string{"service.version": "1.2.3"}, 1}))
	again := reading(agentJob, "node-1", now,
		items("received", "logs", "containerlogs", 2500), items("delivered", "logs", "otlp", 2400), items("queued", "logs", "otlp", 70),
		items("dropped", "logs", "containerlogs", 30, "malformed"),
		sample{"crowsnest_containerlogs_lag_bytes", nil, 4096}, sample{"crowsnest_spool_oldest_entry_age_seconds", map[string]string{"component": "spool/metrics"}, 12})
	pass(t, taps, again)
	pass(t, taps, again) // its store refused it before

	s := statusOf(t, p)
	if len(s.Agents) != 1 || s.Cluster != "demo" {
		t.Fatalf("status %+v", s)
	}
	a := s.Agents[0]
	logs := a.Signals[0]
	if a.Name != "node-1" || a.Version != "1.2.3" || a.State != StateLosing || a.LagBytes != 4096 || a.LagSeconds != 12 || a.IntervalSeconds != 15 {
		t.Errorf("agent %+v", a)
	}
	if logs.Received != 2500 || logs.Difference() != 0 || logs.ReceivedRate != 100 || logs.Dropped != 30 {
		t.Errorf("ledger %+v", logs)
	}
	if len(a.Drops) != 1 || a.Drops[0].Reason != "malformed" || a.Drops[0].Last.IsZero() {
		t.Errorf("drops %+v", a.Drops)
	}
	if len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Text, "containerlogs of 1 agent dropped logs, reason malformed, the last under 1 s ago: node-1 (30 in all).") {
		t.Errorf("problems %+v", s.Problems)
	}
}

func TestRestartedProgramsRatesAreNotNegative(t *testing.T) {
	r, now := newRoster(), time.Now()
	r.read(reading(agentJob, "n", now.Add(-10*time.Second), items("received", "logs", "c", 1e6)), now)
	r.read(reading(agentJob, "n", now, items("received", "logs", "c", 50)), now)
	if got := r.snapshot(now).Agents[0].Signals[0]; got.ReceivedRate != 5 || got.Received != 50 {
		t.Errorf("after a restart %+v", got)
	}
}

func TestUnevenLedgerIsAProblemOnlyIfItStays(t *testing.T) {
	r, now := newRoster(), time.Now()
	for i := range 15 {
		at := now.Add(time.Duration(i) * time.Minute)
		r.read(reading(agentJob, "swallows", at, items("received", "logs", "c", 100+float64(i)), items("delivered", "logs", "c", 90+float64(i))), at)
		r.read(reading(agentJob, "moves", at, items("received", "logs", "c", 100+float64(i%2)), items("delivered", "logs", "c", 100)), at)
		s := r.snapshot(at)
		s.derive(at)
		found := false
		for _, p := range s.Problems {
			found = found || strings.Contains(p.Text, "1 agent received logs that the ledger cannot account for: swallows (10).")
			if strings.Contains(p.Text, "moves") {
				t.Errorf("minute %d: %s", i, p.Text)
			}
		}
		if found != (i > 10) {
			t.Errorf("minute %d: problems %+v", i, s.Problems)
		}
	}
}

func TestNodesWithoutAnAgent(t *testing.T) {
	page, address := startPage(t, nil)
	taps, p := startTaps(t, page), newPerson(t, address)
	now := time.Now()
	pass(t, taps, reading(agentJob, "node-1", now, items("received", "logs", "c", 1)))
	nodes := func(at time.Time, names ...string) pmetric.Metrics {
		var all []sample
		for _, n := range names {
			all = append(all, sample{"kube_node_info", map[string]string{"node": n}, 1})
		}
		return reading(nodesJob, nodesJob, at, all...)
	}
	pass(t, taps, nodes(now, "node-1", "node-2", "node-3", "fargate-ip-1"))
	s := statusOf(t, p)
	if len(s.Problems) != 1 || !strings.HasPrefix(s.Problems[0].Text, "2 nodes without an agent: node-2, node-3.") || !strings.HasSuffix(s.Problems[0].Runbook, "/CrowsnestNodeWithoutAgent.md") {
		t.Errorf("problems %+v", s.Problems)
	}
	// A node that is gone is marked once.
	gone := nodes(now, "node-2")
	gone.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	pass(t, taps, gone)
	if s := statusOf(t, p); len(s.Nodes) != 3 || !strings.HasPrefix(s.Problems[0].Text, "1 node without an agent: node-3.") {
		t.Errorf("after one went: %+v", s.Problems)
	}
	// An agent whose own metrics wait is there by its log lines.
	if err := taps.logs.ConsumeLogs(t.Context(), nodeLogs("node-3")); err != nil {
		t.Fatal(err)
	}
	if s := statusOf(t, p); len(s.Problems) != 1 || s.Problems[0].Level != Notice || s.Agents[1].State != StateQuiet {
		t.Errorf("with log lines only: %+v", s.Problems)
	}
}

func nodeLogs(node string) plog.Logs {
	ld := record("ns", "pod", "c", "line")
	ld.ResourceLogs().At(0).Resource().Attributes().PutStr("k8s.node.name", node)
	return ld
}

// A problem that many have is told once.
func TestProblemsAreTold(t *testing.T) {
	now := time.Now()
	var s Status
	for i := range 100 {
		s.Agents = append(s.Agents, Program{Name: fmt.Sprintf("node-%02d", i), LastSeen: now, LastReading: now, LagBytes: lagBytesBound + float64(i)*(1<<20), LagSeconds: 400,
			LostFiles: 1, LostAt: now, Drops: []Drop{{"traces", "spool/traces", "queue_full", float64(i + 1), now}, {"logs", "c", "old", 5, now.Add(-time.Hour)}}})
	}
	s.derive(now)
	var got []string
	for _, p := range s.Problems {
		got = append(got, p.Text)
	}
	want := []string{
		"100 agents lost log files that were deleted before they were read: node-00 (1), node-01 (1), node-02 (1), node-03 (1), node-04 (1) and 95 more.",
		"100 agents with a spool that is behind: node-00 (6 min), node-01 (6 min), node-02 (6 min), node-03 (6 min), node-04 (6 min) and 95 more.",
		"99 agents with much of log files yet to deliver: node-99 (194.4 MiB), node-98 (193.4 MiB), node-97 (192.4 MiB), node-96 (191.4 MiB), node-95 (190.4 MiB) and 94 more.",
		"spool/traces of 100 agents dropped traces, reason queue_full, the last under 1 s ago: node-99 (100 in all), node-98 (99 in all), node-97 (98 in all), node-96 (97 in all), node-95 (96 in all) and 95 more.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSilentAgents(t *testing.T) {
	r, now := newRoster(), time.Now()
	for _, p := range []struct {
		name     string
		interval time.Duration
	}{{"fast", 15 * time.Second}, {"slow", 2 * time.Minute}} {
		r.read(reading(agentJob, p.name, now.Add(-p.interval), items("received", "logs", "c", 1)), now)
		r.read(reading(agentJob, p.name, now, items("received", "logs", "c", 1)), now)
	}
	for after, want := range map[time.Duration][2]State{
		time.Minute: {StateOK, StateOK}, 3 * time.Minute: {StateSilent, StateOK}, 9 * time.Minute: {StateSilent, StateSilent},
	} {
		s := r.snapshot(now.Add(after))
		s.derive(now.Add(after))
		if len(s.Agents) != 2 || s.Agents[0].State != want[0] || s.Agents[1].State != want[1] {
			t.Errorf("after %v: %+v", after, s.Agents)
		}
	}
	if s := r.snapshot(now.Add(2 * forgetAfter)); len(s.Agents) != 0 {
		t.Errorf("not forgotten: %+v", s.Agents)
	}
	if r.bytes != 0 {
		t.Errorf("%d bytes are still counted after all is forgotten", r.bytes)
	}
}

func TestStoreThatRefuses(t *testing.T) {
	now := time.Now()
	s := Status{
		Aggregators: []Program{{Name: "a", LastSeen: now, LastReading: now, Requests: []Request{
			{Store: "loki", Component: "loki", Code: "204", Total: 9, Last: now.Add(-time.Minute)},
			{Store: "loki", Component: "loki", Code: "503", Total: 3, Last: now.Add(-time.Second)},
		}}},
		Deliveries: []Delivery{{Replica: "a", Signal: "logs", Waiting: 2, WaitingSince: now.Add(-30 * time.Second), LastSuccess: now.Add(-time.Minute)}},
	}
	s.derive(now)
	if st := s.Stores[0]; st.State != StoreFailing || st.Failure != "HTTP 503" || st.Waiting != 2 {
		t.Errorf("store %+v", st)
	}
	s.Deliveries[0].FailingSince, s.Deliveries[0].LastFailure, s.Deliveries[0].Failure = now.Add(-40*time.Second), now, "push: connection refused"
	s.derive(now)
	if !strings.HasPrefix(s.Problems[0].Text, "Loki has taken no logs for 40 s: push: connection refused.") || s.Problems[0].Level != Failure {
		t.Errorf("problems %+v", s.Problems)
	}
}

func TestFailureOfLongAgoIsNotOneOfNow(t *testing.T) {
	now := time.Now()
	s := Status{Deliveries: []Delivery{{Signal: "traces", FailingSince: now.Add(-time.Hour), LastFailure: now.Add(-time.Hour), Failure: "away"}}}
	s.derive(now)
	if len(s.Stores) != 1 || s.Stores[0].State != StoreOK || len(s.Problems) != 0 {
		t.Errorf("an hour after the last request: %+v", s.Stores)
	}
}

func TestAnswersAreSeenAtOnce(t *testing.T) {
	f, now := &flow{}, time.Now()
	f.begin(now)
	if d := f.delivery("a", "logs"); d.Waiting != 1 || d.WaitingSince.IsZero() {
		t.Errorf("while it waits: %+v", d)
	}
	f.end(t.Context(), now, errors.New("refused "+strings.Repeat("x", 2*maxErrorBytes)))
	if d := f.delivery("a", "logs"); d.Waiting != 0 || d.FailingSince.IsZero() || len(d.Failure) != maxErrorBytes {
		t.Errorf("after a failure: %+v", d)
	}
	f.begin(now)
	f.end(t.Context(), now, nil)
	if d := f.delivery("a", "logs"); !d.FailingSince.IsZero() || d.LastSuccess.IsZero() {
		t.Errorf("after a success: %+v", d)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	f.begin(now)
	f.end(gone, now, context.Canceled)
	if d := f.delivery("a", "logs"); !d.FailingSince.IsZero() || d.Waiting != 0 {
		t.Errorf("after an agent went away: %+v", d)
	}
	f.begin(now)
	f.end(gone, now.Add(-time.Minute), context.Canceled)
	if d := f.delivery("a", "logs"); d.FailingSince.IsZero() {
		t.Errorf("after an agent gave up waiting: %+v", d)
	}
}

// What comes from outside can neither fill the memory nor become markup.
func TestHostileMetrics(t *testing.T) {
	page, address := startPage(t, nil)
	taps, p := startTaps(t, page), newPerson(t, address)
	now := time.Now()
	const markup = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	pass(t, taps, reading(agentJob, markup, now,
		items("received", "logs", markup, 5), items("dropped", "logs", markup, 5, markup), items("dropped", markup, "c", 5, "r"),
		items("received", "traces", "c", math.NaN()), items("received", "metrics", "c", math.Inf(1)), items("queued", "metrics", "c", -1e300),
		sample{"target_info", map[string]string{"service.version": markup + strings.Repeat("v", 10_000)}, 1}))
	pass(t, taps, reading(nodesJob, "x", now, sample{"kube_node_info", map[string]string{"node": markup}, 1}))
	pass(t, taps, reading(agentJob, "future", now.Add(1000*time.Hour), items("received", "logs", "c", 5)))
	pass(t, taps, reading(agentJob, "future", now.Add(2*time.Hour), items("received", "logs", "c", 7)))
	got := p.get("/?node=" + "%3Cscript%3E")
	if got.StatusCode != http.StatusOK || strings.Contains(got.body, "<script>alert") || strings.Contains(got.body, "<img src=x") || !strings.Contains(got.body, "&lt;script&gt;alert(1)") {
		t.Errorf("page (%d) has markup from outside", got.StatusCode)
	}
	statusOf(t, p) // NaN would not be JSON
	for i := range 20_000 {
		long := strings.Repeat("n", 100) + fmt.Sprint(i)
		page.roster.read(reading(agentJob, long, now, items("received", "logs", long, 1), items("dropped", "logs", "c", 1, long)), now)
		page.roster.read(reading(nodesJob, "x", now, sample{"kube_node_info", map[string]string{"node": long}, 1}), now)
		page.presence.see(long, now)
	}
	r := page.roster
	if r.bytes > maxRosterBytes || len(r.byNumber) > maxKeys || len(r.nodes) > maxNodes || len(page.presence.nodes) > maxNodes || r.omitted == 0 {
		t.Errorf("%d bytes, %d series, %d nodes, %d present, %d omitted", r.bytes, len(r.byNumber), len(r.nodes), len(page.presence.nodes), r.omitted)
	}
	if got := p.get("/"); got.StatusCode != http.StatusOK || len(got.body) > 1<<20 || !strings.Contains(got.body, "found no place") {
		t.Errorf("page is %d with %d bytes", got.StatusCode, len(got.body))
	}
}

func TestPeersAreMerged(t *testing.T) {
	now := time.Now()
	tokens := func(c *Config) { c.TokenFile = writeToken(t, testToken) }
	other, otherAddress := startPage(t, func(c *Config) { tokens(c); c.Replica = "aggregator-1" })
	page, address := startPage(t, func(c *Config) { tokens(c); c.Peers.Endpoint = "http://" + otherAddress })
	otherTaps, taps, p := startTaps(t, other), startTaps(t, page), newPerson(t, address)
	pass(t, taps, reading(agentJob, "node-1", now, items("received", "logs", "c", 1)))
	pass(t, taps, reading(agentJob, "moved", now.Add(-time.Minute), items("received", "logs", "c", 5)))
	time.Sleep(time.Millisecond) // who was read later is right
	pass(t, otherTaps, reading(agentJob, "moved", now, items("received", "logs", "c", 9)))
	pass(t, otherTaps, reading(agentJob, "node-2", now, items("received", "logs", "c", 2)))
	pass(t, otherTaps, reading(nodesJob, nodesJob, now, sample{"kube_node_info", map[string]string{"node": "node-1"}, 1}))
	s := statusOf(t, p, "Authorization", "Bearer "+testToken)
	if len(s.Agents) != 3 || s.Partial || len(s.Replicas) != 2 || s.Replicas[1].Name != "aggregator-1" || s.Agents[0].Signals[0].Received != 9 || len(s.Nodes) != 1 || !s.Nodes[0].Agent || len(s.Deliveries) != 6 {
		t.Errorf("merged: %+v", s)
	}
}

func TestPeersThatDoNotAnswerAreNamed(t *testing.T) {
	_, otherAddress := startPage(t, func(c *Config) { c.TokenFile = writeToken(t, "quite another token") })
	_, address := startPage(t, func(c *Config) {
		c.TokenFile = writeToken(t, testToken)
		c.Peers.Endpoint = "http://" + otherAddress
	})
	s := statusOf(t, newPerson(t, address), "Authorization", "Bearer "+testToken)
	if len(s.Replicas) != 2 || !strings.Contains(s.Replicas[1].Error, "HTTP 401") || len(s.Problems) != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestAPageIsNotItsOwnPeer(t *testing.T) {
	address := freeAddress(t)
	startPage(t, func(c *Config) { c.Server.NetAddr.Endpoint = address; c.Peers.Endpoint = "http://" + address })
	if s := statusOf(t, newPerson(t, address)); len(s.Replicas) != 1 || len(s.Deliveries) != 3 {
		t.Errorf("status %+v", s)
	}
}

func TestAlerts(t *testing.T) {
	// As Prometheus 3 answers, but for the values.
	const body = `{"status":"success","data":{"alerts":[
		{"labels":{"alertname":"Watchdog","severity":"none"},"annotations":{},"state":"firing","activeAt":"2026-01-02T03:04:05Z","value":"1e+00"},
		{"labels":{"alertname":"Slow","severity":"warning","pod":"a"},"annotations":{"summary":"It is <b>slow</b>.","runbook_url":"https://example.org/Slow.md"},"state":"pending","activeAt":"2026-01-02T03:04:05Z","value":"1e+00"},
		{"labels":{"alertname":"Dead","severity":"critical"},"annotations":{"runbook_url":"javascript:alert(1)"},"state":"firing","activeAt":"2026-01-02T03:04:05Z","value":"1e+00"}]}}`
	code := http.StatusOK
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/alerts" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked for %s with %q", r.URL.Path, r.Header)
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	defer prometheus.Close()
	page, address := startPage(t, func(c *Config) { c.Prometheus.Endpoint = prometheus.URL + "/" })
	p := newPerson(t, address)
	s := statusOf(t, p)
	if len(s.Alerts.Active) != 2 || s.Alerts.Active[0].Name != "Dead" || s.Alerts.Active[0].Runbook != "" || s.Alerts.Active[1].Runbook != "https://example.org/Slow.md" {
		t.Errorf("alerts %+v", s.Alerts)
	}
	if got := p.get("/"); strings.Contains(got.body, "<b>slow") || strings.Contains(got.body, "javascript:") || !strings.Contains(got.body, `href="https://example.org/Slow.md"`) {
		t.Error("the page has markup from an alert, or lacks its runbook")
	}
	code = http.StatusServiceUnavailable
	page.alerts.asked = time.Time{}
	if s := statusOf(t, p); !strings.Contains(s.Alerts.Error, "HTTP 503") {
		t.Errorf("alerts of a Prometheus that is away: %+v", s.Alerts)
	}
}

func TestTapWithoutAPagePassesOn(t *testing.T) {
	s := startTaps(t, nil)
	if err := s.logs.ConsumeLogs(t.Context(), record("a", "b", "c", "d")); err != nil || s.logsSink.LogRecordCount() != 1 {
		t.Errorf("%d records passed (%v)", s.logsSink.LogRecordCount(), err)
	}
}
