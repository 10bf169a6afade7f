package prometheus

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

var epoch = time.Unix(1_000_000, 0)

// metrics makes one resource's metrics.
func metrics(fill func(pmetric.MetricSlice)) pmetric.Metrics {
	md := pmetric.NewMetrics()
	fill(resourceMetrics(md))
	return md
}

func update(t *table, now time.Time, fill func(pmetric.MetricSlice)) []point {
	b := translate(metrics(fill), now.UnixMilli())
	t.update(b, now)
	return b.points
}

func gauge(v float64, tsMs int64, attributes ...string) func(pmetric.MetricSlice) {
	return func(ms pmetric.MetricSlice) { addGauge(ms, "g", "", v, tsMs, attributes...) }
}

func staleHistogram(tsMs int64) func(pmetric.MetricSlice) {
	return func(ms pmetric.MetricSlice) {
		addHistogram(ms, "h", "", nil, nil, 0, tsMs).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	}
}

func TestStaleHistogramEndsAllItsBuckets(t *testing.T) {
	tb := newTable(1<<20, time.Hour)
	update(tb, epoch, func(ms pmetric.MetricSlice) { addHistogram(ms, "h", "", []float64{1, 2}, []uint64{1, 1, 1}, 3, 5) })
	const want = `h_bucket{le="+Inf"} stale @9
h_bucket{le="1.0"} stale @9
h_bucket{le="2.0"} stale @9
h_count{} stale @9
h_sum{} stale @9`
	// Twice: the sender sends again what was not acknowledged.
	for range 2 {
		if diff := cmp.Diff(want, render(update(tb, epoch, staleHistogram(9)))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n, _ := tb.size(); n != 0 {
			t.Errorf("%d live series after the stale marker", n)
		}
	}
}

func TestLateSampleDoesNotReviveASeries(t *testing.T) {
	tb := newTable(1<<20, time.Hour)
	update(tb, epoch, gauge(1, 5))
	update(tb, epoch, func(ms pmetric.MetricSlice) {
		addGauge(ms, "g", "", 0, 9).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	})
	update(tb, epoch, gauge(1, 8))
	if n, _ := tb.size(); n != 0 {
		t.Errorf("%d live series, want 0", n)
	}
	update(tb, epoch, gauge(1, 10))
	if n, _ := tb.size(); n != 1 {
		t.Errorf("%d live series, want 1", n)
	}
}

func TestExpiredSeriesAreForgotten(t *testing.T) {
	tb := newTable(1<<20, time.Minute)
	update(tb, epoch, gauge(1, 5, "a=old"))
	update(tb, epoch.Add(time.Second), gauge(1, 6, "a=new"))
	tb.expire(epoch.Add(time.Minute), 0)
	if n, _ := tb.size(); n != 1 {
		t.Errorf("%d series are left, want the newer one", n)
	}
	tb.expire(epoch.Add(time.Hour), 0)
	wantEmpty(t, tb)
}

func wantEmpty(t *testing.T, tb *table) {
	t.Helper()
	if n, bytes := tb.size(); n != 0 || bytes != 0 || len(tb.entries) != 0 || len(tb.families) != 0 || len(tb.symbols.numbers) != 0 {
		t.Errorf("left: %d series, %d bytes, %d entries, %d families, %d symbols", n, bytes, len(tb.entries), len(tb.families), len(tb.symbols.numbers))
	}
}

func TestTableIsBoundedInBytes(t *testing.T) {
	tb := newTable(10_000, time.Hour)
	refused := 0
	for i := range 1000 {
		for _, p := range update(tb, epoch, gauge(1, 5, fmt.Sprintf("a=%d", i))) {
			if p.refused == reasonSeriesLimit {
				refused++
			}
		}
	}
	n, bytes := tb.size()
	if bytes > 10_000 || n == 0 || n+refused != 1000 {
		t.Errorf("%d series, %d refused, %d bytes", n, refused, bytes)
	}
	// A known series must not grow past the bound either.
	tb = newTable(2000, time.Hour)
	grow := func(n int) []point {
		return update(tb, epoch, func(ms pmetric.MetricSlice) {
			var bounds []float64
			for i := range n {
				bounds = append(bounds, float64(i))
			}
			addHistogram(ms, "h", "", bounds, make([]uint64, n+1), 1, 5)
		})
	}
	if p := grow(2); p[0].refused != "" {
		t.Fatalf("refused: %s", p[0].refused)
	}
	if p := grow(1000); p[0].refused != reasonSeriesLimit {
		t.Errorf("a thousand buckets: refused %q, want %q", p[0].refused, reasonSeriesLimit)
	}
	if _, bytes := tb.size(); bytes > 2000 {
		t.Errorf("%d bytes", bytes)
	}
}

func TestFirstTypeAndHelpOfANameWin(t *testing.T) {
	tb := newTable(1<<20, time.Hour)
	update(tb, epoch, func(ms pmetric.MetricSlice) {
		gauge(1, 5, "a=1")(ms)
		ms.At(0).SetDescription("help")
	})
	b := translate(metrics(func(ms pmetric.MetricSlice) {
		addGauge(ms, "g", "", 2, 5, "a=2")
		ms.At(0).SetDescription("other help")
		addGauge(ms, "g", "", 2, 5, "a=3")
		exposition(ms, "unknown")
		addHistogram(ms, "g", "", nil, nil, 2, 5, "a=4")
		addHistogram(ms, "g", "", nil, nil, 2, 5, "a=1")
	}), 0)
	f := func(typed, helped int) {
		t.Helper()
		c := tb.update(b, epoch)
		if len(c.typed) != typed || len(c.helped) != helped {
			t.Errorf("conflicts: %d of type, %d of help, want %d, %d", len(c.typed), len(c.helped), typed, helped)
		}
	}
	f(1, 1)
	for i, p := range b.points[:2] {
		if p.refused != "" || p.family.help != "help" || p.family.typ != prompb.MetricMetadata_GAUGE {
			t.Errorf("number %d: refused %q, family %+v", i, p.refused, p.family)
		}
	}
	for i, p := range b.points[2:] {
		if p.refused != reasonTypeConflict {
			t.Errorf("histogram %d: refused %q, want %q", i, p.refused, reasonTypeConflict)
		}
	}
	b.points[1].family = &family{name: "g", typ: prompb.MetricMetadata_UNKNOWN}
	f(0, 0) // it was told
}

func TestSeriesThatAHistogramHasNoMoreEnd(t *testing.T) {
	histogram := func(bounds []float64, tsMs int64) func(pmetric.MetricSlice) {
		return func(ms pmetric.MetricSlice) {
			addHistogram(ms, "h", "", bounds, make([]uint64, len(bounds)+1), 0, tsMs)
		}
	}
	added := func(points []point) string { return render(points[1:]) }
	tb := newTable(1<<20, time.Hour)
	update(tb, epoch, histogram([]float64{1, 2, 4}, 5))
	if got := added(update(tb, epoch, histogram([]float64{1, 2, 4}, 6))); got != "" {
		t.Errorf("same bounds: %s", got)
	}
	if diff := cmp.Diff("h_bucket{le=\"2.0\"} stale @7\nh_bucket{le=\"4.0\"} stale @7", added(update(tb, epoch, histogram([]float64{1, 3}, 7)))); diff != "" {
		t.Errorf("other bounds (-want +got):\n%s", diff)
	}
	if got := added(update(tb, epoch, histogram([]float64{1, 2, 4}, 6))); got != "" {
		t.Errorf("an older one: %s", got)
	}
	native := func(ms pmetric.MetricSlice) { addNative(ms, "h", "", 0, 0, []uint64{1}, 0, 8) }
	const all = `h_bucket{le="+Inf"} stale @8
h_bucket{le="1.0"} stale @8
h_bucket{le="3.0"} stale @8
h_count{} stale @8
h_sum{} stale @8`
	if diff := cmp.Diff(all, added(update(tb, epoch, native))); diff != "" {
		t.Errorf("native (-want +got):\n%s", diff)
	}
	without := func(ms pmetric.MetricSlice) {
		addHistogram(ms, "h", "", nil, []uint64{1}, 0, 9).RemoveSum()
	}
	if diff := cmp.Diff("h{} stale @9", added(update(tb, epoch, without))); diff != "" {
		t.Errorf("classic again (-want +got):\n%s", diff)
	}
	update(tb, epoch, histogram(nil, 10))
	if diff := cmp.Diff("h_sum{} stale @11", added(update(tb, epoch, func(ms pmetric.MetricSlice) {
		addHistogram(ms, "h", "", nil, []uint64{1}, 0, 11).RemoveSum()
	}))); diff != "" {
		t.Errorf("no sum any more (-want +got):\n%s", diff)
	}
}

// A series that moved to another aggregator must leave this one's page.
func TestSeriesExpireAfterTwoOfTheirIntervals(t *testing.T) {
	f := func(want time.Duration, arrivals ...time.Duration) {
		t.Helper()
		tb := newTable(1<<20, 5*time.Minute)
		var last time.Duration
		for i, d := range arrivals {
			// The backlog of an outage comes at once, with its own times.
			update(tb, epoch.Add(d), gauge(float64(i), epoch.Add(time.Duration(i)*30*time.Second).UnixMilli()))
			last = d
		}
		tb.expire(epoch.Add(last+want-time.Second), 0)
		if n, _ := tb.size(); n != 1 {
			t.Errorf("%v: gone before %s", arrivals, want)
		}
		tb.expire(epoch.Add(last+want), 0)
		if n, _ := tb.size(); n != 0 {
			t.Errorf("%v: still there after %s", arrivals, want)
		}
	}
	const s = time.Second
	f(5*time.Minute, 0)
	f(60*s, 0, 30*s, 60*s)
	f(60*s, 0, 0, 0, 0)
	f(5*time.Minute, 0, 30*s, 10*time.Minute)
	f(120*s, 0, 60*s, 120*s) // the sender is slow
}

func TestPointsOfASeriesGetRoundsByTime(t *testing.T) {
	tb := newTable(1<<20, time.Hour)
	p := update(tb, epoch, func(ms pmetric.MetricSlice) {
		gauge(3, 3)(ms)
		gauge(9, 3, "a=b")(ms)
		gauge(1, 1)(ms)
		gauge(2, 2)(ms)
	})
	rounds := map[int64]int32{}
	for _, p := range p {
		if p.labels.len() == 1 {
			rounds[p.timestampMs] = p.round
		} else if p.round != 0 {
			t.Errorf("other series: round %d", p.round)
		}
	}
	if diff := cmp.Diff(map[int64]int32{1: 0, 2: 1, 3: 2}, rounds); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if v := tb.entries[p[slices.IndexFunc(p, func(p point) bool { return p.labels.len() == 1 })].id].value; v != 3 {
		t.Errorf("the table shows %v, want the newest", v)
	}
}

func TestTargetInfoIsSentOncePerTime(t *testing.T) {
	tb := newTable(1<<20, time.Hour)
	f := func(tsMs int64, want bool) {
		t.Helper()
		md := pmetric.NewMetrics()
		addGauge(resourceMetrics(md, "service.name=a", "x=y"), "g", "", 1, tsMs)
		addGauge(resourceMetrics(md, "service.name=a", "x=y"), "g2", "", 1, tsMs)
		b := translate(md, 0)
		tb.update(b, epoch)
		sent := 0
		for _, p := range b.points {
			if p.derived && !p.skip {
				sent++
			}
		}
		if sent > 1 || sent == 1 != want {
			t.Errorf("at %d: sent %d times, want %v", tsMs, sent, want)
		}
	}
	f(5, true)
	f(5, false)
	f(4, false)
	f(6, true)
}

func TestMetadataIsDueOnceAMinute(t *testing.T) {
	tb := newTable(1<<20, time.Hour)
	f := func(now time.Time, want int) {
		t.Helper()
		b := translate(metrics(gauge(1, 5)), 0)
		if got := len(tb.update(b, now).metadata); got != want {
			t.Errorf("%d families due, want %d", got, want)
		}
	}
	f(epoch, 1)
	f(epoch.Add(time.Second), 0)
	f(epoch.Add(metadataInterval), 1)
}

func TestEntrySizeEstimate(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > entryBytes-56 { // 56: the places in map and family
		t.Errorf("an entry has %d bytes, entryBytes is %d", size, entryBytes)
	}
	if size := unsafe.Sizeof(detail{}); size > detailBytes {
		t.Errorf("a detail has %d bytes, detailBytes is %d", size, detailBytes)
	}
}
