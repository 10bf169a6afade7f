package prometheus

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// pageOf is what an agent sends of one page: a counter and a histogram of each
// pod, and "up" unless the page is not whole.
func pageOf(node string, tsMs int64, whole bool, pods ...string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=kubelet", "service.instance.id=10.0.0.1:10250", "url.path=/metrics/cadvisor", "k8s.node.name="+node)
	for _, pod := range pods {
		addGauge(ms, "container_memory_rss", "", 7, tsMs, "pod="+pod)
		addHistogram(ms, "took_seconds", "s", []float64{1, 2}, []uint64{1, 2, 3}, 4, tsMs, "pod="+pod)
	}
	if whole {
		addGauge(ms, "up", "", 1, tsMs)
	}
	for _, m := range ms.All() {
		m.Metadata().PutStr(typeMetadata, "gauge")
		if m.Type() == pmetric.MetricTypeHistogram {
			m.Metadata().PutStr(typeMetadata, "histogram")
		}
	}
	return md
}

// deliver lets a table see pages by their time, and expires between them. It
// gives the markers that the store would have got, by that time in seconds.
func deliver(tb *table, until int, pages map[int]pmetric.Metrics) map[int]string {
	markers := map[int]string{}
	for s := range until + 1 {
		now := epoch.Add(time.Duration(s) * time.Second)
		if md, ok := pages[s]; ok {
			tb.update(translate(md, now.UnixMilli()), now)
		}
		if got := render(tb.expire(now.Add(500*time.Millisecond), maxMarkers)); got != "" {
			markers[s] = got
		}
	}
	return markers
}

func TestSeriesThatEndedWithoutTheirAgent(t *testing.T) {
	atSecond := func(s int) int64 { return epoch.Add(time.Duration(s) * time.Second).UnixMilli() }
	page := func(s int, pods ...string) pmetric.Metrics { return pageOf("node-1", atSecond(s), true, pods...) }
	// The markers of pod b, whose last sample was at second 30.
	ofB := func(last int) string {
		var b batch
		md := pageOf("node-1", atSecond(last)+1, false, "b")
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			if m.Type() == pmetric.MetricTypeGauge {
				m.Gauge().DataPoints().At(0).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			} else {
				m.Histogram().DataPoints().At(0).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			}
		}
		b = *translate(md, 0)
		return render(b.points)
	}
	for name, c := range map[string]struct {
		pages map[int]pmetric.Metrics
		want  map[int]string
	}{
		"back at once": {
			map[int]pmetric.Metrics{0: page(0, "a", "b"), 15: page(15, "a", "b"), 30: page(30, "a", "b"), 45: page(45, "a"), 60: page(60, "a")},
			map[int]string{60: ofB(30)},
		},
		"back after minutes": {
			map[int]pmetric.Metrics{0: page(0, "a", "b"), 15: page(15, "a", "b"), 30: page(30, "a", "b"), 180: page(180, "a"), 195: page(195, "a")},
			map[int]string{180: ofB(30)},
		},
		"back when Prometheus has forgotten": {
			map[int]pmetric.Metrics{0: page(0, "a", "b"), 15: page(15, "a", "b"), 30: page(30, "a", "b"), 400: page(400, "a"), 415: page(415, "a")},
			map[int]string{},
		},
		"half a page": { // what is missing may be on the other half
			map[int]pmetric.Metrics{0: page(0, "a", "b"), 15: page(15, "a", "b"), 30: page(30, "a", "b"),
				45: pageOf("node-1", atSecond(45), false, "a"), 60: pageOf("node-1", atSecond(60), false, "a")},
			map[int]string{},
		},
		"one page again and again": { // its store refused it before
			map[int]pmetric.Metrics{0: page(0, "a", "b"), 15: page(15, "a", "b"), 30: page(30, "a", "b"),
				45: page(30, "a"), 60: page(30, "a"), 75: page(30, "a")},
			map[int]string{},
		},
		"another node's": {
			map[int]pmetric.Metrics{0: page(0, "a", "b"), 15: page(15, "a", "b"), 30: page(30, "a", "b"),
				45: pageOf("node-2", atSecond(45), true, "a"), 60: pageOf("node-2", atSecond(60), true, "a"), 75: pageOf("node-2", atSecond(75), true, "a")},
			map[int]string{},
		},
		"of no node": { // kube-state-metrics' series come from several agents
			map[int]pmetric.Metrics{0: pageOf("", atSecond(0), true, "a", "b"), 15: pageOf("", atSecond(15), true, "a", "b"),
				30: pageOf("", atSecond(30), true, "a"), 45: pageOf("", atSecond(45), true, "a"), 60: pageOf("", atSecond(60), true, "a")},
			map[int]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(1<<20, 5*time.Minute)
			tb.waits = true
			if diff := cmp.Diff(c.want, deliver(tb, 420, c.pages)); diff != "" {
				t.Errorf("markers (-want +got):\n%s", diff)
			}
			tb.expire(epoch.Add(time.Hour), maxMarkers)
			if n, bytes := tb.size(); n != 0 || bytes != 0 || len(tb.origins) != 0 {
				t.Errorf("%d series, %d bytes, %d origins are left", n, bytes, len(tb.origins))
			}
		})
	}
}

// A table that is half full remembers nothing that is overdue.
func TestFullTableDoesNotWait(t *testing.T) {
	tb := newTable(1<<20, 5*time.Minute)
	tb.waits = true
	var pods []string
	for i := range 1000 {
		pods = append(pods, fmt.Sprint("pod-", i))
	}
	for s := range 3 {
		now := epoch.Add(time.Duration(s) * 15 * time.Second)
		tb.update(translate(pageOf("node-1", now.UnixMilli(), true, pods...), 0), now)
	}
	if _, bytes := tb.size(); bytes < 1<<19 {
		t.Fatalf("table has %d bytes only", bytes)
	}
	tb.expire(epoch.Add(2*time.Minute), maxMarkers)
	if _, bytes := tb.size(); bytes > 1<<19 {
		t.Errorf("table still has %d bytes", bytes)
	}
}

// TestPodDeletedWithoutAgent deletes a pod while the agent is down. When it is
// back, a real Prometheus must not show the pod any longer, and nothing else must
// have a hole.
func TestPodDeletedWithoutAgent(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p *stores.Prometheus, e *running) {
		sent := int64(0)
		send := func(pods ...string) {
			md := pageOf("node-1", time.Now().UnixMilli(), true, pods...)
			sent += int64(md.DataPointCount())
			e.mustConsume(md)
		}
		for range 3 {
			send("stays", "goes")
			time.Sleep(time.Second) // the interval
		}
		time.Sleep(3 * time.Second) // no agent
		const shown = `{pod="goes"}`
		if n := len(instant(t, p, shown)); n != 6 {
			t.Fatalf("%d series of the deleted pod, want 6", n)
		}
		eventually(t, "the deleted pod's series end", func() error {
			send("stays")
			time.Sleep(time.Second)
			if n := len(instant(t, p, shown)); n > 0 {
				return fmt.Errorf("%d are shown", n)
			}
			return nil
		})
		send("stays", "goes") // another of that name
		if n := len(instant(t, p, shown)); n != 6 {
			t.Errorf("%d series of the next pod of that name, want 6", n)
		}
		if n := len(instant(t, p, `{pod="stays"}`)); n != 6 {
			t.Errorf("%d series of the pod that stays, want 6", n)
		}
		e.wantLedger(sent, nil)
	})
}

// A store that does not answer must not keep series from leaving the page.
func TestMarkersDoNotHoldUpExpiry(t *testing.T) {
	e := start(t, remoteTo("http://store.test/api/v1/write", ProtocolV1), withPage)
	down := roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })
	up := roundTrip(func(*http.Request) (*http.Response, error) { return reply(http.StatusNoContent), nil })
	e.remote = newRemoteWriter(e.cfg.RemoteWrite.Get(), &http.Client{Transport: up}, e.metricsExporter.tel)
	now := time.Now()
	page := func(s int, pods ...string) {
		at := now.Add(time.Duration(s) * time.Second)
		e.table.update(translate(pageOf("node-1", at.UnixMilli(), true, pods...), 0), at)
	}
	page(0, "a", "b", "c")
	page(15, "a", "b", "c")
	page(30, "a", "b")
	page(45, "a", "b")
	e.remote = newRemoteWriter(e.cfg.RemoteWrite.Get(), &http.Client{Transport: down}, e.metricsExporter.tel)
	e.expire(now.Add(45 * time.Second)) // c
	page(60, "a")
	page(75, "a")
	e.expire(now.Add(76 * time.Second)) // b, of which the store cannot be told yet
	series, _ := e.table.size()
	if want := 6 + 1; series != want {
		t.Errorf("%d series are shown, want %d", series, want)
	}
}
