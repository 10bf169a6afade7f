package prometheus

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func TestRefusedPointsAreFoundByHalving(t *testing.T) {
	f := func(code int, text, reason string) {
		t.Helper()
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, samples []string) bool {
			bad := slices.ContainsFunc(samples, func(s string) bool { return strings.Contains(s, `bad="yes"`) })
			if bad {
				http.Error(w, text, code)
			}
			return bad
		})
		e := start(t, remoteTo(r.URL, ProtocolV1))
		e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
			for i := range 100 {
				if i%30 == 7 {
					addHistogram(ms, "h", "", []float64{1, 2}, []uint64{1, 1, 1}, 3, 5, "bad=yes", "i="+strconv.Itoa(i))
				} else {
					gauge(1, 5, "i="+strconv.Itoa(i))(ms)
				}
			}
		}))
		if got := len(r.takenSamples()); got != 96 {
			t.Errorf("%d samples taken, want 96", got)
		}
		e.wantLedger(96, map[string]int64{reason: 4})
		if got := e.counter("crowsnest_prometheus_refused_samples"); got != 4*5 {
			t.Errorf("%d samples refused, want 20", got)
		}
	}
	f(400, "out of order sample", reasonOutOfOrder)
	f(400, "sample-out-of-order", reasonOutOfOrder)
	f(400, "duplicate sample for timestamp", reasonDuplicate)
	f(422, "too old sample", reasonTooOld)
	f(409, "out of bounds", reasonOutOfBounds)
	f(400, "label value too long", "rejected")
	f(413, "too big", reasonTooLarge)
}

func TestMetadataIsSent(t *testing.T) {
	fill := func(ms pmetric.MetricSlice) {
		addCounter(ms, "rpc.time", "s", 1, 5)
		ms.At(0).SetDescription("Time \xff in calls.")
	}
	r := newReceiver(t, nil)
	e := start(t, remoteTo(r.URL, ProtocolV1))
	e.mustConsume(metrics(fill))
	e.mustConsume(metrics(fill))
	want := []prompb.MetricMetadata{{Type: prompb.MetricMetadata_COUNTER, MetricFamilyName: "rpc_time_seconds_total", Help: "Time \uFFFD in calls.", Unit: "seconds"}}
	if diff := cmp.Diff(want, r.metadata); diff != "" {
		t.Errorf("v1 (-want +got):\n%s", diff)
	}
	if got := r.headers.Get("User-Agent"); got == "" || strings.HasPrefix(got, "Go-http-client") {
		t.Errorf("User-Agent %q", got)
	}
	r = newReceiver(t, nil)
	e = start(t, remoteTo(r.URL, ProtocolV2))
	e.mustConsume(metrics(fill))
	want[0].MetricFamilyName = "" // in the series
	if diff := cmp.Diff(want, r.metadata); diff != "" {
		t.Errorf("v2 (-want +got):\n%s", diff)
	}
}

func TestBothOutputs(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, samples []string) bool {
		http.Error(w, "no thanks", http.StatusBadRequest)
		return true
	})
	e := start(t, remoteTo(r.URL, ProtocolV1), withPage)
	e.mustConsume(metrics(gauge(7, 5)))
	if page := get(t, e, "text/plain"); !strings.Contains(page, "g 7\n") {
		t.Errorf("page lacks g:\n%s", page)
	}
	e.wantLedger(0, map[string]int64{"rejected": 1}) // remote write decides
}
