package stores

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post sends a body and wants 2xx.
func post(t *testing.T, url, contentType string, header map[string]string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("POST %s: HTTP %d: %s (%v)", url, resp.StatusCode, text, err)
	}
}

// eventually asks until f reports true; the deadline is the test's own.
func eventually(t *testing.T, what string, f func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := f()
		if ok && err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within a minute (last error: %v)", what, err)
		case <-tick.C:
		}
	}
}

func remoteWrite(t *testing.T, p *Prometheus, value float64) {
	t.Helper()
	b, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels:  []prompb.Label{{Name: "__name__", Value: "gulls"}, {Name: "mast", Value: "fore"}},
		Samples: []prompb.Sample{{Value: value, Timestamp: time.Now().UnixMilli()}},
	}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	post(t, p.URL+"/api/v1/write", "application/x-protobuf", map[string]string{
		"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0",
	}, snappy.Encode(nil, b))
}

func TestPrometheusKeepsSamplesOverSIGKILL(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintln(w, `scraped{job="kept"} 7`)
	}))
	t.Cleanup(target.Close) // after Prometheus, whose idle connection it would wait for
	p := TestPrometheus(t, Options{ScrapeTargets: []string{strings.TrimPrefix(target.URL, "http://")}})

	remoteWrite(t, p, 3)
	want := func() {
		t.Helper()
		got, err := p.Query(t.Context(), "max_over_time(gulls[1h])")
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Value != 3 || got[0].Labels["mast"] != "fore" {
			t.Fatalf("read back %+v, want gulls{mast=fore} 3", got)
		}
	}
	want()
	eventually(t, "scrape with honored label", func() (bool, error) {
		got, err := p.Query(t.Context(), `scraped{job="kept"}`)
		return len(got) == 1 && got[0].Value == 7, err
	})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if p.PID() != 0 {
		t.Fatal("runs after Kill")
	}
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	want()
}

func TestPrometheusTakesOTLP(t *testing.T) {
	p := TestPrometheus(t, Options{})
	now := strconv.FormatInt(time.Now().UnixNano(), 10)
	post(t, p.URL+"/api/v1/otlp/v1/metrics", "application/json", nil, []byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
		{"name":"depth","gauge":{"dataPoints":[{"asDouble":12,"timeUnixNano":"`+now+`"}]}}]}]}]}`))
	got, err := p.Query(t.Context(), "depth")
	if err != nil || len(got) != 1 || got[0].Value != 12 {
		t.Fatalf("read back %+v (%v), want depth 12", got, err)
	}
	if log := string(p.LogTail()); strings.Contains(log, "level=ERROR") || strings.Contains(log, "Unknown option") {
		t.Fatalf("Prometheus complains:\n%s", log)
	}
}

func TestLokiKeepsLinesOverSIGKILL(t *testing.T) {
	l := TestLoki(t, Options{})
	// More than a page, with runs of equal timestamps over the page's edge.
	const lines = 5*pageEntries + 777
	start := time.Now().Add(-time.Minute)
	var b strings.Builder
	for i := range lines {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `["%d","line %d",{"trace_id":"%032x"}]`, start.Add(time.Duration(i/3)*time.Millisecond).UnixNano(), i, i)
	}
	post(t, l.URL+"/loki/api/v1/push", "application/json", nil, []byte(`{"streams":[{"stream":{"pod":"web-0"},"values":[`+b.String()+`]}]}`))

	read := func() {
		t.Helper()
		seen := make([]int, lines)
		var last time.Time
		err := l.Each(t.Context(), `{pod="web-0"}`, start.Add(-time.Second), time.Now(), func(e Entry) error {
			var n int
			if _, err := fmt.Sscanf(e.Line, "line %d", &n); err != nil {
				return err
			}
			seen[n]++
			if e.Timestamp.Before(last) {
				return fmt.Errorf("line %d is out of order", n)
			}
			last = e.Timestamp
			if want := fmt.Sprintf("%032x", n); e.Metadata["trace_id"] != want || e.Labels["pod"] != "web-0" {
				return fmt.Errorf("line %d has metadata %v and labels %v", n, e.Metadata, e.Labels)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for n, times := range seen {
			if times != 1 {
				t.Fatalf("line %d read %d times", n, times)
			}
		}
	}
	read()
	if err := l.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := l.Restart(); err != nil {
		t.Fatal(err)
	}
	read()
}

func TestJaegerFindsTrace(t *testing.T) {
	j := TestJaeger(t, Options{})
	start := time.Now()
	const id = "5b8efff798038103d269b633813fc60c"
	post(t, "http://"+j.OTLPHTTP+"/v1/traces", "application/json", nil, []byte(`{"resourceSpans":[{
		"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"helm"}},{"key":"k8s.pod.name","value":{"stringValue":"helm-0"}}]},
		"scopeSpans":[{"spans":[{"traceId":"`+id+`","spanId":"eee19b7ec3c1b174","name":"steer","kind":2,
		"startTimeUnixNano":"`+strconv.FormatInt(start.UnixNano(), 10)+`","endTimeUnixNano":"`+strconv.FormatInt(start.UnixNano()+5000, 10)+`"}]}]}]}`))
	var trace *Trace
	eventually(t, "trace by id", func() (ok bool, err error) {
		trace, err = j.Trace(t.Context(), id)
		return trace != nil, err
	})
	if len(trace.Spans) != 1 || trace.Spans[0].OperationName != "steer" || trace.Spans[0].Duration != 5 {
		t.Fatalf("read back %+v", trace)
	}
	if got := trace.Processes[trace.Spans[0].ProcessID]; got.ServiceName != "helm" || got.Tag("k8s.pod.name") != "helm-0" {
		t.Fatalf("process is %+v", got)
	}
	services, err := j.Services(t.Context())
	if err != nil || len(services) != 1 || services[0] != "helm" {
		t.Fatalf("services %v (%v), want helm", services, err)
	}
	traces, err := j.Traces(t.Context(), "helm", start.Add(-time.Second), time.Now(), 10)
	if err != nil || len(traces) != 1 {
		t.Fatalf("found %d traces of helm (%v), want 1", len(traces), err)
	}
	if none, err := j.Trace(t.Context(), "00000000000000000000000000000001"); none != nil || err != nil {
		t.Fatalf("unknown trace gives %v, %v; want nil, nil", none, err)
	}
}

func TestPausedStoreAnswersAfterResume(t *testing.T) {
	p := TestPrometheus(t, Options{})
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	remoteWrite(t, p, 1)
	if err := p.Pause(); err != nil { // Stop has to end a paused program, too
		t.Fatal(err)
	}
}

func TestStopRemovesTemporaryFolder(t *testing.T) {
	j, err := StartJaeger(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(j.Dir()); !os.IsNotExist(err) {
		t.Fatalf("data folder after Stop: %v", err)
	}
}
