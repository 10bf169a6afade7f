package prometheus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// readBack asks Prometheus by remote read for all it has of a job, as lines like
// render's.
func readBack(t testing.TB, p *stores.Prometheus, job string) []string {
	t.Helper()
	now := time.Now().UnixMilli()
	req := prompb.ReadRequest{Queries: []*prompb.Query{{
		StartTimestampMs: now - 3_600_000, EndTimestampMs: now + 60_000,
		Matchers: []*prompb.LabelMatcher{{Type: prompb.LabelMatcher_EQ, Name: "job", Value: job}},
	}}}
	body, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	hr, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/api/v1/read", bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(hr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("remote read: %s: %v: %s", resp.Status, err, body)
	}
	if body, err = snappy.Decode(nil, body); err != nil {
		t.Fatal(err)
	}
	var answer prompb.ReadResponse
	if err := answer.Unmarshal(body); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, ts := range answer.Results[0].Timeseries {
		series := renderLabels(fromWire(ts.Labels))
		for _, s := range ts.Samples {
			lines = append(lines, fmt.Sprintf("%s %s @%d", series, number(s.Value), s.Timestamp))
		}
		for _, h := range ts.Histograms {
			lines = append(lines, fmt.Sprintf("%s %s @%d", series, number(h.Sum)+" "+h.ToIntHistogram().String(), h.Timestamp))
		}
	}
	slices.Sort(lines)
	return lines
}

func number(v float64) string {
	if value.IsStaleNaN(v) {
		return "stale"
	}
	return fmt.Sprint(v)
}

// sent are the lines that readBack should give for points.
func sent(points []point) []string {
	var lines []string
	for i := range points {
		p := &points[i]
		p.expand(func(s *sample) {
			text := number(s.value)
			if s.native != nil {
				text = number(s.native.Sum) + " " + s.native.String()
			}
			lines = append(lines, fmt.Sprintf("%s %s @%d", renderLabels(unpacked(p, s)), text, p.timestampMs))
		})
	}
	slices.Sort(lines)
	return lines
}

func TestStoreHasEveryKindAsItWasSent(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		now := time.Now().UnixMilli()
		var want []string
		for _, ms := range []int64{now - 3000, now - 2000, now - 1000} {
			md := everyKind(ms)
			e.mustConsume(md)
			want = append(want, sent(translate(md, 0).points)...)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, readBack(t, p, "a")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, of := range []string{"requests_total", "rpc_duration_seconds_bucket", "native_duration_seconds"} {
			if n := exemplarsOf(t, p, of); n == 0 {
				t.Errorf("%s has no exemplar", of)
			}
		}
		if e.counter("crowsnest_prometheus_refused_exemplars") != 0 {
			t.Error("exemplars were refused")
		}
	})
}

func exemplarsOf(t *testing.T, p *stores.Prometheus, selector string) int {
	t.Helper()
	var answer struct {
		Data []struct{ Exemplars []struct{ Value string } }
	}
	now := time.Now().Unix()
	query := url.Values{"query": {selector}, "start": {fmt.Sprint(now - 60)}, "end": {fmt.Sprint(now + 60)}}
	if err := p.Get(t.Context(), "/api/v1/query_exemplars", query, &answer); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range answer.Data {
		n += len(d.Exemplars)
	}
	return n
}

// The scraped values carry the scrape's time: all else must be as it was sent.
func TestStoreHasEveryKindAsItWasShown(t *testing.T) {
	e := start(t, withPage)
	md := everyKind(time.Now().UnixMilli())
	e.mustConsume(md)
	p := stores.TestPrometheus(t, stores.Options{ScrapeTargets: []string{e.addr.String()}})
	withoutTime := func(lines []string) []string {
		var out []string
		for _, l := range lines {
			series, _, _ := strings.Cut(l, " @")
			out = append(out, series)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	// Scraped by protobuf, where a native histogram is one.
	want := withoutTime(sent(translate(md, 0).points))
	eventually(t, "the page in Prometheus", func() error {
		got := withoutTime(slices.DeleteFunc(readBack(t, p, "a"), func(l string) bool { return strings.Contains(l, " stale ") }))
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		if exemplarsOf(t, p, "rpc_duration_seconds_bucket") == 0 || exemplarsOf(t, p, "native_duration_seconds") == 0 {
			return errors.New("exemplars are missing")
		}
		return nil
	})
}

// Two requests each, and not two for each series.
func TestStoreRefusesAWholePageAtLittleCost(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		now := time.Now()
		e.mustConsume(cadvisorPage(t, now))
		before := e.counter("crowsnest_prometheus_requests")
		old := cadvisorPage(t, now.Add(-10*time.Second))
		e.mustConsume(old)
		if n := e.counter("crowsnest_prometheus_requests") - before; n > 2*before {
			t.Errorf("%d requests for a page that is refused, %d for one that is taken", n, before)
		}
		if n := e.counter("crowsnest_dropped_items", "reason", reasonOutOfOrder); n == 0 || n > int64(old.DataPointCount()) {
			t.Errorf("%d of %d dropped as out of order", n, old.DataPointCount())
		}
		if all := e.counter("crowsnest_dropped_items") + e.counter("crowsnest_delivered_items"); all != 2*int64(old.DataPointCount()) {
			t.Errorf("%d data points in the ledger, want %d", all, 2*old.DataPointCount())
		}
	})
}

func TestStoreEndsBucketsThatAreGone(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		now := time.Now().UnixMilli()
		send := func(tsMs int64, bounds ...float64) {
			e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
				addHistogram(ms, "h", "", bounds, make([]uint64, len(bounds)+1), 0, tsMs)
			}))
		}
		send(now-2000, 1, 2, 4)
		send(now-1000, 1, 3)
		var got []string
		for _, s := range instant(t, p, "h_bucket") {
			got = append(got, s.Labels["le"])
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"+Inf", "1.0", "3.0"}, got); diff != "" {
			t.Errorf("buckets (-want +got):\n%s", diff)
		}
		e.wantLedger(2, nil)
	})
}

// Two replicas, one series that moves from one to the other: Prometheus must see
// the end of the old value within two intervals, and the new one go on.
func TestStoreForgetsTheOldAggregatorsSeries(t *testing.T) {
	old, other := start(t, withPage), start(t, withPage)
	p := stores.TestPrometheus(t, stores.Options{ScrapeTargets: []string{old.addr.String(), other.addr.String()}})
	send := func(e *running, v float64) {
		e.mustConsume(scraped(func(ms pmetric.MetricSlice) { addGauge(ms, "g", "", v, time.Now().UnixMilli()) }))
	}
	for range 3 {
		send(old, 1)
		if err := sleep(t.Context(), 2*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	send(other, 2)
	// Well before expire_after, of five minutes.
	eventually(t, "the old one's page is empty", func() error {
		if n, _ := old.table.size(); n != 0 {
			return errors.New("still there")
		}
		return nil
	})
	send(other, 3)
	eventuallyValue(t, p, "g", 3)
	last := lastOf(readBack(t, p, "test"), " 1 @")
	eventually(t, "scrapes later", func() error {
		if lastOf(readBack(t, p, "test"), " 3 @") < last+5000 {
			return errors.New("not yet")
		}
		return nil
	})
	if again := lastOf(readBack(t, p, "test"), " 1 @"); again != last {
		t.Errorf("the old value came back %d ms later", again-last)
	}
}

// lastOf is the latest time of the lines that have a part.
func lastOf(lines []string, part string) int64 {
	var last int64
	for _, l := range lines {
		if strings.Contains(l, part) {
			ms, _ := strconv.ParseInt(l[strings.LastIndexByte(l, '@')+1:], 10, 64)
			last = max(last, ms)
		}
	}
	return last
}
