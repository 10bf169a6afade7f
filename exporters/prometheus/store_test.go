package prometheus

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

func writeURL(p *stores.Prometheus) string { return p.URL + "/api/v1/write" }

// eachProtocol runs a test with a Prometheus and an exporter of its own for
// remote write v1 and v2.
func eachProtocol(t *testing.T, f func(t *testing.T, p *stores.Prometheus, e *running)) {
	for _, protocol := range []string{ProtocolV1, ProtocolV2} {
		t.Run(protocol, func(t *testing.T) {
			p := stores.TestPrometheus(t, stores.Options{})
			f(t, p, start(t, remoteTo(writeURL(p), protocol)))
		})
	}
}

// matrix asks for all samples of a selector in the last ten minutes, as
// "series" -> "value@ms …".
func matrix(t testing.TB, p *stores.Prometheus, selector string) map[string]string {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string    `json:"metric"`
				Values [][2]json.RawMessage `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	// A minute ahead: timestamps of the test may be a little in the future.
	query := url.Values{"query": {selector + "[10m]"}, "time": {strconv.FormatInt(time.Now().Unix()+60, 10)}}
	if err := p.Get(t.Context(), "/api/v1/query", query, &answer); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range answer.Data.Result {
		var samples []string
		for _, v := range r.Values {
			var seconds float64
			var text string
			if err := json.Unmarshal(v[0], &seconds); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(v[1], &text); err != nil {
				t.Fatal(err)
			}
			samples = append(samples, fmt.Sprintf("%s@%d", text, int64(math.Round(seconds*1000))))
		}
		out[seriesName(r.Metric)] = strings.Join(samples, " ")
	}
	return out
}

func seriesName(labels map[string]string) string {
	md := pcommon.NewMap()
	for k, v := range labels {
		if k != nameLabel {
			md.PutStr(k, v)
		}
	}
	var b labeler
	return renderLabels(unpack(b.build(labelSource{metric: labels[nameLabel], verbatim: true}, md)))
}

func instant(t testing.TB, p *stores.Prometheus, expr string) []stores.Sample {
	t.Helper()
	got, err := p.Query(t.Context(), expr)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantValue(t testing.TB, p *stores.Prometheus, expr string, want float64) {
	t.Helper()
	got := instant(t, p, expr)
	if len(got) != 1 || math.Abs(got[0].Value-want) > 1e-9 {
		t.Errorf("%s = %v, want %v", expr, got, want)
	}
}

func wantNothing(t testing.TB, p *stores.Prometheus, expr string) {
	t.Helper()
	if got := instant(t, p, expr); len(got) != 0 {
		t.Errorf("%s = %v, want nothing", expr, got)
	}
}

func TestStoreHoldsARealCadvisorPage(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		md := cadvisorPage(t, time.Now())
		e.mustConsume(md)
		want := map[string]string{}
		b := translate(md, 0)
		for _, p := range b.points {
			want[renderLabels(unpack(p.labels))] = strconv.FormatFloat(p.value, 'f', -1, 64) + "@" + strconv.FormatInt(p.timestampMs, 10)
		}
		if diff := cmp.Diff(want, matrix(t, p, `{job="kubelet"}`)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		e.wantLedger(int64(md.DataPointCount()), nil)
		// All again, as after a lost answer: nothing changes, nothing is refused.
		e.mustConsume(md)
		if diff := cmp.Diff(want, matrix(t, p, `{job="kubelet"}`)); diff != "" {
			t.Errorf("sent twice (-want +got):\n%s", diff)
		}
		e.wantLedger(2*int64(md.DataPointCount()), nil)
	})
}

func TestStoreEndsStaleSeriesAtOnce(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		now := time.Now().UnixMilli()
		fill := func(tsMs int64, stale bool) pmetric.Metrics {
			md := pmetric.NewMetrics()
			ms := resourceMetrics(md, "service.name=a")
			bounds, counts := []float64{1, 2}, []uint64{1, 2, 3}
			if stale {
				bounds, counts = nil, nil
			}
			flags := pmetric.DefaultDataPointFlags.WithNoRecordedValue(stale)
			addGauge(ms, "g", "", 1, tsMs).SetFlags(flags)
			addHistogram(ms, "h", "", bounds, counts, 9, tsMs).SetFlags(flags)
			addNative(ms, "n", "", 0, 0, counts, 9, tsMs).SetFlags(flags)
			return md
		}
		e.mustConsume(fill(now-2000, false))
		if got := instant(t, p, `{job="a"}`); len(got) != 1+5+1 {
			t.Fatalf("before: %v", got)
		}
		e.mustConsume(fill(now-1000, true))
		wantNothing(t, p, `{job="a"}`)
		e.wantLedger(6, nil)
	})
}

// An agent that reconnects leaves its series behind at one aggregator and goes on
// with them through another: no marker may come between its samples, though
// Prometheus would take one that is out of order.
func TestStoreKeepsASeriesThatMovedOnWithoutAHole(t *testing.T) {
	p := stores.TestPrometheus(t, stores.Options{OutOfOrderWindow: 10 * time.Minute})
	before := start(t, remoteTo(writeURL(p), ProtocolV1), func(c *Config) { c.ExpireAfter = time.Second })
	after := start(t, remoteTo(writeURL(p), ProtocolV1))
	now := time.Now().UnixMilli()
	before.mustConsume(metrics(gauge(1, now-10_000)))
	after.mustConsume(metrics(gauge(2, now-5_000)))
	eventually(t, "the first aggregator forgets the series", func() error {
		if n, _ := before.table.size(); n != 0 {
			return fmt.Errorf("%d series", n)
		}
		return nil
	})
	if err := before.shutdown(t.Context()); err != nil { // waits for what it may still send
		t.Error(err)
	}
	for _, at := range []int64{now - 9_000, now - 6_000} {
		if s, err := p.QueryAt(t.Context(), "g", time.UnixMilli(at)); err != nil || len(s) != 1 || s[0].Value != 1 {
			t.Errorf("%d ms before now: %v, %v; want 1", now-at, s, err)
		}
	}
	wantValue(t, p, "g", 2)
}

func TestStoreAnswersHistogramQueries(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		now := time.Now().UnixMilli()
		md := pmetric.NewMetrics()
		ms := resourceMetrics(md, "service.name=a", "service.version=1.2")
		dp := addHistogram(ms, "rpc.duration", "s", []float64{1, 2, 4}, []uint64{0, 10, 0, 0}, 15, now-1000)
		x := dp.Exemplars().AppendEmpty()
		x.SetDoubleValue(1.5)
		x.SetTimestamp(at(now - 1500))
		x.SetTraceID(pcommon.TraceID{0xab})
		x.SetSpanID(pcommon.SpanID{0xcd})
		addNative(ms, "native.duration", "s", 3, -8, []uint64{4, 4, 4, 4}, 7, now-1000)
		e.mustConsume(md)
		wantValue(t, p, `histogram_quantile(0.5, rpc_duration_seconds_bucket{job="a"})`, 1.5)
		wantValue(t, p, `histogram_count(native_duration_seconds)`, 16)
		wantValue(t, p, `histogram_sum(native_duration_seconds)`, 7)
		// Observations lie in (2^-1, 2^-0.5]: scale 3 has 8 buckets per power of 2.
		wantValue(t, p, `histogram_fraction(`+fmt.Sprint(math.Pow(2, -1))+`, `+fmt.Sprint(math.Pow(2, -0.5))+`, native_duration_seconds)`, 1)
		wantValue(t, p, `target_info{service_version="1.2"}`, 1)
		wantValue(t, p, `rpc_duration_seconds_count * on (job) group_left (service_version) target_info`, 10)
		var answer struct {
			Data []struct {
				SeriesLabels map[string]string
				Exemplars    []struct {
					Labels    map[string]string
					Value     string
					Timestamp float64
				}
			}
		}
		query := url.Values{"query": {"rpc_duration_seconds_bucket"}, "start": {fmt.Sprint(now/1000 - 60)}, "end": {fmt.Sprint(now/1000 + 60)}}
		if err := p.Get(t.Context(), "/api/v1/query_exemplars", query, &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.Data) != 1 || len(answer.Data[0].Exemplars) != 1 {
			t.Fatalf("exemplars: %+v", answer.Data)
		}
		got := answer.Data[0]
		if got.SeriesLabels["le"] != "2.0" || got.Exemplars[0].Value != "1.5" ||
			got.Exemplars[0].Labels["trace_id"] != "ab000000000000000000000000000000" || got.Exemplars[0].Labels["span_id"] != "cd00000000000000" ||
			int64(math.Round(got.Exemplars[0].Timestamp*1000)) != now-1500 {
			t.Errorf("exemplar: %+v", got)
		}
	})
}

func TestStoreRefusalsAreIsolated(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		now := time.Now().UnixMilli()
		many := func(tsMs func(i int) int64, value func(i int) float64) pmetric.Metrics {
			return metrics(func(ms pmetric.MetricSlice) {
				for i := range 100 {
					addGauge(ms, "g", "", value(i), tsMs(i), "i="+strconv.Itoa(i))
				}
			})
		}
		e.mustConsume(many(func(int) int64 { return now - 5000 }, func(i int) float64 { return float64(i) }))
		second := many(func(i int) int64 {
			switch i {
			case 3:
				return now - 6000 // out of order
			case 50:
				return now - 5000 // again, with another value
			case 70:
				return now + 3_600_000 // far in the future
			case 71:
				return 1000 // 1970
			}
			return now - 4000
		}, func(i int) float64 { return float64(1000 + i) })
		e.mustConsume(second)
		wantValue(t, p, `count(g > 999)`, 96)
		wantValue(t, p, `count(g)`, 100)
		for _, i := range []string{"3", "50", "70", "71"} {
			n, _ := strconv.ParseFloat(i, 64)
			wantValue(t, p, `g{i="`+i+`"}`, n)
		}
		e.wantLedger(196, map[string]int64{reasonOutOfOrder: 1, reasonDuplicate: 1, reasonOutOfBounds: 2})
		if got := e.counter("crowsnest_prometheus_samples"); got != 196 {
			t.Errorf("%d samples counted, want 196", got)
		}
		if got := e.logs.FilterMessageSnippet("refused a data point").Len(); got != 3 {
			t.Errorf("%d log lines, want one per cause", got)
		}
	})
}

// An exemplar that Prometheus refuses must not cost its sample (v2 refuses both).
func TestStoreTakesSampleOfRefusedExemplar(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		now := time.Now().UnixMilli()
		send := func(v, tsMs, exemplarMs int64) {
			e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
				x := addCounter(ms, "c", "", v, tsMs).Exemplars().AppendEmpty()
				x.SetTimestamp(at(exemplarMs))
				x.SetTraceID(pcommon.TraceID{byte(v)})
			}))
		}
		send(1, now-3000, now-3000)
		send(2, now-2000, now-4000)
		wantValue(t, p, "c_total", 2)
		e.wantLedger(2, nil)
	})
}

func TestStoreKilledAndRestartedLosesNothing(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		const batches, series = 40, 300
		began := time.Now().UnixMilli() - batches*100
		send := func(n int) {
			e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
				for i := range series {
					addGauge(ms, "g", "", float64(n), began+int64(n)*100, "i="+strconv.Itoa(i))
				}
			}))
		}
		for n := range batches / 2 {
			send(n)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for n := batches / 2; n < batches; n++ {
				send(n)
			}
		}()
		eventually(t, "a retry", func() error {
			if e.counter("crowsnest_prometheus_retries") == 0 {
				return fmt.Errorf("none yet")
			}
			return nil
		})
		if err := p.Restart(); err != nil {
			t.Fatal(err)
		}
		<-sent
		got := matrix(t, p, "g")
		if len(got) != series {
			t.Fatalf("%d series, want %d", len(got), series)
		}
		var want []string
		for n := range batches {
			want = append(want, fmt.Sprintf("%d@%d", n, began+int64(n)*100))
		}
		for name, samples := range got {
			if samples != strings.Join(want, " ") {
				t.Fatalf("%s: %s", name, samples)
			}
		}
		e.wantLedger(batches*series, nil)
	})
}
