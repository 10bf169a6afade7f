package prometheus

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

const points = 1000

// many makes a thousand gauges, of which those for which bad is true get a label
// that a test's receiver does not like.
func many(bad func(i int) bool) pmetric.Metrics {
	return metrics(func(ms pmetric.MetricSlice) {
		for i := range points {
			attributes := []string{"i=" + strconv.Itoa(i)}
			if bad(i) {
				attributes = append(attributes, "bad=yes")
			}
			gauge(1, 5, attributes...)(ms)
		}
	})
}

func isBad(s string) bool { return strings.Contains(s, `bad="yes"`) }

// rollback is a receiver of v1 alone that takes all of a request or nothing.
func rollback(w http.ResponseWriter, r *http.Request, samples []string) bool {
	switch {
	case strings.Contains(r.Header.Get("Content-Type"), "v2"):
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return true
	case slices.ContainsFunc(samples, isBad):
		http.Error(w, "out of order sample", http.StatusBadRequest)
		return true
	}
	return false
}

// partial is like Prometheus: of a v2 request it takes what it can.
func partial(named bool) func(w http.ResponseWriter, r *http.Request, samples []string) bool {
	return func(w http.ResponseWriter, r *http.Request, samples []string) bool {
		if !slices.ContainsFunc(samples, isBad) {
			return false
		}
		if !strings.Contains(r.Header.Get("Content-Type"), "v2") {
			http.Error(w, "out of order sample", http.StatusBadRequest)
			return true
		}
		var text []string
		for _, s := range samples {
			if isBad(s) {
				series, _, _ := strings.Cut(strings.TrimPrefix(s, "g{"), "} ")
				text = append(text, `out of order sample for series {__name__="g", `+strings.ReplaceAll(series, ",", ", ")+"}")
			}
		}
		if !named {
			text = text[:1]
		}
		w.Header().Set(writtenSamples, fmt.Sprint(len(samples)-len(slices.DeleteFunc(slices.Clone(samples), func(s string) bool { return !isBad(s) }))))
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, strings.Join(text, "\n"))
		return true
	}
}

func TestRefusalsCostFewRequests(t *testing.T) {
	f := func(name, protocol string, answer func(http.ResponseWriter, *http.Request, []string) bool, bad func(int) bool, maxRequests int) {
		t.Run(name+protocol, func(t *testing.T) {
			r := newReceiver(t, answer)
			e := start(t, remoteTo(r.URL, protocol), tuneRemote(func(c *RemoteWriteConfig) { c.Shards = 1 }))
			e.mustConsume(many(bad))
			refused := 0
			for i := range points {
				refused += oneIf(bad(i))
			}
			if got := r.requestCount(); got > maxRequests {
				t.Errorf("%d requests, want at most %d", got, maxRequests)
			}
			e.wantLedger(points-int64(refused), map[string]int64{reasonOutOfOrder: int64(refused)})
			if got := e.counter("crowsnest_prometheus_samples"); got != points-int64(refused) {
				t.Errorf("%d samples counted, want %d", got, points-refused)
			}
			if answered := r.takenSamples(); slices.ContainsFunc(answered, isBad) {
				t.Error("a refused sample was taken")
			}
		})
	}
	all := func(int) bool { return true }
	one := func(i int) bool { return i == 700 }
	half := func(i int) bool { return i%2 == 0 }
	block := func(i int) bool { return i >= 300 && i < 340 }
	// One request, and one by v2 that tells all.
	for _, bad := range []func(int) bool{all, one, half, block} {
		f("named", ProtocolV1, partial(true), bad, 2)
		f("named", ProtocolV2, partial(true), bad, 1)
		f("counted", ProtocolV1, partial(false), bad, 2)
	}
	f("all", ProtocolV1, rollback, all, points+15)
	f("one", ProtocolV1, rollback, one, 35)
	f("half", ProtocolV1, rollback, half, 2*points+15)
	f("block", ProtocolV1, rollback, block, 75)
}

// A receiver that does not know v2 is asked by it once, and not with each refusal.
func TestAReceiverOfV1IsNotAskedAgain(t *testing.T) {
	asked := 0
	r := newReceiver(t, func(w http.ResponseWriter, r *http.Request, samples []string) bool {
		if strings.Contains(r.Header.Get("Content-Type"), "v2") {
			asked++
			w.WriteHeader(http.StatusNoContent) // as one that takes it for v1
			return true
		}
		return rollback(w, r, samples)
	})
	e := start(t, remoteTo(r.URL, ProtocolV1), tuneRemote(func(c *RemoteWriteConfig) { c.Shards = 1 }))
	for range 3 {
		e.mustConsume(many(func(i int) bool { return i == 5 }))
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	e.wantLedger(3*(points-1), map[string]int64{reasonOutOfOrder: 3})
}

// Of a histogram one series may be refused: its data point is a dropped one.
func TestAHistogramIsRefusedOnce(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, r *http.Request, samples []string) bool {
		w.Header().Set(writtenSamples, strconv.Itoa(len(samples)-2))
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "duplicate sample for timestamp for series {__name__=\"h_sum\"}\nduplicate sample for timestamp for series {__name__=\"h_bucket\", le=\"1.0\"}\n")
		return true
	})
	e := start(t, remoteTo(r.URL, ProtocolV2), tuneRemote(func(c *RemoteWriteConfig) { c.Shards = 1 }))
	e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
		addHistogram(ms, "h", "", []float64{1, 2}, []uint64{1, 1, 1}, 3, 5)
		gauge(1, 5)(ms)
	}))
	e.wantLedger(1, map[string]int64{reasonDuplicate: 1})
	if got := e.counter("crowsnest_prometheus_refused_samples"); got != 2 {
		t.Errorf("%d samples refused, want 2", got)
	}
}
