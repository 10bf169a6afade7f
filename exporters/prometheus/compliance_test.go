package prometheus

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// The cases of prometheus/compliance (remotewrite/sender) and the MUSTs of the
// specifications 1.0 and 2.0, against the handler of Prometheus's own library,
// which refuses what is not of the protocol: version, content type and encoding.
// The suite has its senders scrape a page; here the data is what the receivers of
// expositions make of it.

func bitsOf(v float64) uint64 { return math.Float64bits(v) }

// strict keeps what the library's handler lets through.
type strict struct {
	*httptest.Server
	mu       sync.Mutex
	requests []strictRequest
	fail     []int // statuses of the next answers
}

type strictRequest struct {
	header http.Header
	series []strictSeries
}

type strictSeries struct {
	labels []label
	value  float64
	time   int64
}

func newStrict(t *testing.T, protocol string) *strict {
	s := &strict{}
	accepted := remote.MessageTypes{remote.WriteV1MessageType}
	if protocol == ProtocolV2 {
		accepted = remote.MessageTypes{remote.WriteV2MessageType}
	}
	s.Server = httptest.NewServer(remote.NewWriteHandler(s, accepted))
	s.URL += "/api/v1/write"
	t.Cleanup(s.Close)
	return s
}

func (s *strict) Store(r *http.Request, typ remote.WriteMessageType) (*remote.WriteResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	req := strictRequest{header: r.Header.Clone()}
	answer := remote.NewWriteResponse()
	if typ == remote.WriteV2MessageType {
		req.series, err = strictV2(body)
		answer.Add(remote.WriteResponseStats{Samples: len(req.series)})
	} else {
		req.series, err = strictV1(body)
	}
	if err != nil {
		answer.SetStatusCode(http.StatusTeapot)
		return answer, err
	}
	s.requests = append(s.requests, req)
	if len(s.fail) > 0 {
		code := s.fail[0]
		s.fail = s.fail[1:]
		refusal := remote.NewWriteResponse()
		refusal.SetStatusCode(code)
		return refusal, errors.New("asked to fail")
	}
	return answer, nil
}

func strictV1(body []byte) ([]strictSeries, error) {
	var req prompb.WriteRequest
	if err := req.Unmarshal(body); err != nil {
		return nil, err
	}
	var out []strictSeries
	for _, ts := range req.Timeseries {
		for _, s := range ts.Samples {
			out = append(out, strictSeries{fromWire(ts.Labels), s.Value, s.Timestamp})
		}
	}
	return out, nil
}

func strictV2(body []byte) ([]strictSeries, error) {
	var req writev2.Request
	if err := req.Unmarshal(body); err != nil {
		return nil, err
	}
	if len(req.Symbols) == 0 || req.Symbols[0] != "" {
		return nil, errors.New("the first symbol is not empty")
	}
	var out []strictSeries
	for _, ts := range req.Timeseries {
		if len(ts.LabelsRefs)%2 != 0 || len(ts.Samples) > 0 && len(ts.Histograms) > 0 {
			return nil, errors.New("odd references, or samples and histograms in one series")
		}
		var ls []label
		for i := 0; i < len(ts.LabelsRefs); i += 2 {
			ls = append(ls, label{req.Symbols[ts.LabelsRefs[i]], req.Symbols[ts.LabelsRefs[i+1]]})
		}
		for _, s := range ts.Samples {
			out = append(out, strictSeries{ls, s.Value, s.Timestamp})
		}
	}
	return out, nil
}

// find returns the samples of the series that begin with a name and labels.
func (s *strict) find(series string) []strictSeries {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []strictSeries
	for _, r := range s.requests {
		for _, x := range r.series {
			if renderLabels(x.labels) == series {
				out = append(out, x)
			}
		}
	}
	return out
}

func eachStrict(t *testing.T, f func(t *testing.T, s *strict, e *running)) {
	for _, protocol := range []string{ProtocolV1, ProtocolV2} {
		t.Run(protocol, func(t *testing.T) {
			s := newStrict(t, protocol)
			f(t, s, start(t, remoteTo(s.URL, protocol)))
		})
	}
}

// scraped is what a scrape of job "test" gives.
func scraped(fill func(pmetric.MetricSlice)) pmetric.Metrics {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=test", "service.instance.id=host:1")
	fill(ms)
	for i := range ms.Len() {
		if _, ok := ms.At(i).Metadata().Get(typeMetadata); !ok {
			ms.At(i).Metadata().PutStr(typeMetadata, "gauge")
		}
	}
	return md
}

func (s *strict) want(t *testing.T, series string, values ...float64) {
	t.Helper()
	var got []string
	for _, x := range s.find(series) {
		got = append(got, fmt.Sprintf("%x", bitsOf(x.value)))
	}
	var want []string
	for _, v := range values {
		want = append(want, fmt.Sprintf("%x", bitsOf(v)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", series, diff)
	}
}

const target = `instance="host:1",job="test"`

func TestComplianceCounterGaugeUp(t *testing.T) {
	eachStrict(t, func(t *testing.T, s *strict, e *running) {
		e.mustConsume(scraped(func(ms pmetric.MetricSlice) {
			addCounter(ms, "counter_total", "", 5, 1000)
			exposition(ms, "counter")
			addGauge(ms, "gauge", "", 2.5, 1000)
			addGauge(ms, "up", "", 1, 1000)
		}))
		s.want(t, `counter_total{`+target+`}`, 5)
		s.want(t, `gauge{`+target+`}`, 2.5)
		s.want(t, `up{`+target+`}`, 1)
	})
}

func TestComplianceHistogramAndSummary(t *testing.T) {
	eachStrict(t, func(t *testing.T, s *strict, e *running) {
		e.mustConsume(scraped(func(ms pmetric.MetricSlice) {
			addHistogram(ms, "histogram", "", []float64{0.1, 1}, []uint64{1, 2, 3}, 9, 1000)
			m := ms.AppendEmpty()
			m.SetName("summary")
			dp := m.SetEmptySummary().DataPoints().AppendEmpty()
			dp.SetCount(4)
			dp.SetSum(5)
			q := dp.QuantileValues().AppendEmpty()
			q.SetQuantile(0.5)
			q.SetValue(1.5)
		}))
		s.want(t, `histogram_bucket{instance="host:1",job="test",le="0.1"}`, 1)
		s.want(t, `histogram_bucket{instance="host:1",job="test",le="1.0"}`, 3)
		s.want(t, `histogram_bucket{instance="host:1",job="test",le="+Inf"}`, 6)
		s.want(t, `histogram_count{`+target+`}`, 6)
		s.want(t, `histogram_sum{`+target+`}`, 9)
		s.want(t, `summary{instance="host:1",job="test",quantile="0.5"}`, 1.5)
		s.want(t, `summary_count{`+target+`}`, 4)
		s.want(t, `summary_sum{`+target+`}`, 5)
	})
}

func TestComplianceSpecialValuesAndStaleness(t *testing.T) {
	eachStrict(t, func(t *testing.T, s *strict, e *running) {
		values := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64}
		for i, v := range values {
			e.mustConsume(scraped(func(ms pmetric.MetricSlice) { addGauge(ms, "g", "", v, int64(1000+i)) }))
		}
		e.mustConsume(scraped(func(ms pmetric.MetricSlice) {
			addGauge(ms, "g", "", 0, 2000).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
		}))
		s.want(t, `g{`+target+`}`, append(values, staleNaN)...)
		if bitsOf(staleNaN) != 0x7ff0000000000002 || bitsOf(math.NaN()) == bitsOf(staleNaN) {
			t.Error("the stale marker is not the specification's, or an ordinary NaN")
		}
	})
}

func TestComplianceLabels(t *testing.T) {
	eachStrict(t, func(t *testing.T, s *strict, e *running) {
		e.mustConsume(scraped(func(ms pmetric.MetricSlice) {
			addGauge(ms, "sorted", "", 1, 1000, "z=1", "Z=2", "a=3", "_x=4")
			addGauge(ms, "empty", "", 1, 1000, "gone=", "kept=1")
			addGauge(ms, "named", "", 1, 1000, "__name__=other")
			addGauge(ms, "honored", "", 1, 1000, "job=own", "instance=own")
			addGauge(ms, "utf8", "", 1, 1000, "l=\u00e9", "bad=\xff")
		}))
		s.want(t, `sorted{Z="2",_x="4",a="3",instance="host:1",job="test",z="1"}`, 1)
		s.want(t, `empty{instance="host:1",job="test",kept="1"}`, 1)
		s.want(t, `named{`+target+`}`, 1)
		s.want(t, `honored{instance="own",job="own"}`, 1)
		for _, r := range s.requests {
			for _, x := range r.series {
				checkLabels(t, x.labels, true)
				for _, l := range x.labels {
					if !utf8.ValidString(l.Value) {
						t.Errorf("not UTF-8: %q", l.Value)
					}
				}
			}
		}
	})
}

func TestComplianceTimestampsAndOrder(t *testing.T) {
	eachStrict(t, func(t *testing.T, s *strict, e *running) {
		for i := range 20 {
			e.mustConsume(scraped(func(ms pmetric.MetricSlice) { addGauge(ms, "g", "", float64(i), 1_700_000_000_123+int64(i)) }))
		}
		got := s.find(`g{` + target + `}`)
		if len(got) != 20 || got[0].time != 1_700_000_000_123 || !slices.IsSortedFunc(got, func(a, b strictSeries) int { return int(a.time - b.time) }) {
			t.Errorf("%v", got)
		}
	})
}

func TestComplianceHeaders(t *testing.T) {
	want := map[string][3]string{
		ProtocolV1: {"application/x-protobuf", "0.1.0"},
		ProtocolV2: {"application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"},
	}
	for protocol, w := range want {
		r := newReceiver(t, failFirst(1, status(http.StatusServiceUnavailable)))
		e := start(t, remoteTo(r.URL, protocol))
		e.mustConsume(metrics(gauge(1, 5)))
		h := r.headers
		if h.Get("Content-Type") != w[0] || h.Get("X-Prometheus-Remote-Write-Version") != w[1] || h.Get("Content-Encoding") != "snappy" ||
			h.Get("User-Agent") == "" || strings.HasPrefix(h.Get("User-Agent"), "Go-http") || h.Get("Retry-Attempt") != "1" {
			t.Errorf("%s: %v", protocol, h)
		}
	}
}

func TestComplianceRetries(t *testing.T) {
	f := func(code, requests int, delivered int64) {
		t.Helper()
		eachStrict(t, func(t *testing.T, s *strict, e *running) {
			s.fail = []int{code}
			e.mustConsume(scraped(func(ms pmetric.MetricSlice) { addGauge(ms, "g", "", 1, 1000) }))
			if got := len(s.find(`g{` + target + `}`)); got != requests {
				t.Errorf("%d: sent %d times, want %d", code, got, requests)
			}
			if got := e.counter("crowsnest_delivered_items"); got != delivered {
				t.Errorf("%d: %d delivered, want %d", code, got, delivered)
			}
		})
	}
	f(400, 1, 0) // MUST NOT be sent again
	f(500, 2, 1) // MUST be
	f(503, 2, 1)
	f(429, 2, 1)
}
