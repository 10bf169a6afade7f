package prometheus

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
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
	t.update(b.points, now)
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
	tb := newTable(1 << 20)
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
	tb := newTable(1 << 20)
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

func TestExpiredSeriesEndRightBehindTheirLastSample(t *testing.T) {
	tb := newTable(1 << 20)
	update(tb, epoch, gauge(1, 5, "a=old"))
	update(tb, epoch.Add(time.Minute), gauge(1, 6, "a=new"))
	if diff := cmp.Diff(`g{a="old"} stale @6`, render(tb.expire(epoch))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := render(tb.expire(epoch)); got != "" {
		t.Errorf("ended twice: %s", got)
	}
	tb.expire(epoch.Add(time.Hour))
	if n, bytes := tb.size(); n != 0 || bytes != 0 || len(tb.byHash) != 0 || len(tb.families) != 0 {
		t.Errorf("left: %d series, %d bytes, %d hashes, %d families", n, bytes, len(tb.byHash), len(tb.families))
	}
}

func TestTableIsBoundedInBytes(t *testing.T) {
	tb := newTable(10_000)
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
	tb = newTable(2000)
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
	tb := newTable(1 << 20)
	update(tb, epoch, gauge(1, 5, "a=1"))
	p := update(tb, epoch, func(ms pmetric.MetricSlice) {
		addGauge(ms, "g", "", 2, 5, "a=2")
		ms.At(0).SetDescription("other help")
		addGauge(ms, "g", "", 2, 5, "a=3")
		exposition(ms, "unknown")
	})
	if p[0].refused != "" || p[0].family.help != "" {
		t.Errorf("same type: refused %q, help %q", p[0].refused, p[0].family.help)
	}
	if p[1].refused != reasonTypeConflict {
		t.Errorf("other type: refused %q, want %q", p[1].refused, reasonTypeConflict)
	}
}

func TestPointsOfASeriesGetRoundsByTime(t *testing.T) {
	tb := newTable(1 << 20)
	p := update(tb, epoch, func(ms pmetric.MetricSlice) {
		gauge(3, 3)(ms)
		gauge(9, 3, "a=b")(ms)
		gauge(1, 1)(ms)
		gauge(2, 2)(ms)
	})
	rounds := map[int64]int32{}
	for _, p := range p {
		if len(p.labels) == 1 {
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
	if v := tb.findLocked(&p[slices.IndexFunc(p, func(p point) bool { return len(p.labels) == 1 })]).value; v != 3 {
		t.Errorf("the table shows %v, want the newest", v)
	}
}

func TestTargetInfoIsSentOncePerTime(t *testing.T) {
	tb := newTable(1 << 20)
	f := func(tsMs int64, want bool) {
		t.Helper()
		md := pmetric.NewMetrics()
		addGauge(resourceMetrics(md, "service.name=a", "x=y"), "g", "", 1, tsMs)
		addGauge(resourceMetrics(md, "service.name=a", "x=y"), "g2", "", 1, tsMs)
		b := translate(md, 0)
		tb.update(b.points, epoch)
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
	tb := newTable(1 << 20)
	f := func(now time.Time, want int) {
		t.Helper()
		b := translate(metrics(gauge(1, 5)), 0)
		if got := len(tb.update(b.points, now)); got != want {
			t.Errorf("%d families due, want %d", got, want)
		}
	}
	f(epoch, 1)
	f(epoch.Add(time.Second), 0)
	f(epoch.Add(metadataInterval), 1)
}

func TestHashCollisionsKeepSeriesApart(t *testing.T) {
	tb := newTable(1 << 20)
	var all []point
	for i := range 3 {
		b := translate(metrics(gauge(float64(i), 5, fmt.Sprintf("a=%d", i))), 0)
		b.points[0].hash = 1
		tb.update(b.points, epoch.Add(time.Duration(i)))
		all = append(all, b.points...)
	}
	if n, _ := tb.size(); n != 3 {
		t.Fatalf("%d series, want 3", n)
	}
	tb.expire(epoch)        // the last of the chain
	tb.expire(epoch.Add(1)) // its middle
	if e := tb.findLocked(&all[2]); e == nil || e.value != 2 || len(tb.byHash) != 1 {
		t.Errorf("the third is lost: %+v", e)
	}
	tb.expire(epoch.Add(2))
	if len(tb.byHash) != 0 {
		t.Error("a hash is left")
	}
}

func TestEntrySizeEstimate(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > entryBytes-32 { // 32: the places in map and family
		t.Errorf("an entry has %d bytes, entryBytes is %d", size, entryBytes)
	}
}
