package prometheus

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

func wantSeries(t *testing.T, b *batch, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimSpace(want), render(b.points)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestExpositionKeepsNamesAndItsOwnLabels(t *testing.T) {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=kubelet", "service.namespace=kube-system", "service.instance.id=10.0.0.1:10250",
		"url.path=/metrics/cadvisor", "k8s.node.name=node-1", "k8s.cluster.name=lab", "host.name=h")
	addCounter(ms, "kubelet_evictions", "", 3, 5, "eviction_signal=memory.available")
	exposition(ms, "counter")
	addGauge(ms, "container_memory_rss", "", 7, 5, "namespace=shop", "pod=web", "container=", "node=other", "http_status=200")
	exposition(ms, "gauge")
	addGauge(ms, "weird__name:rule", "", 1, 5, "a__b=1", "d\u00e9j\u00e0=vu")
	exposition(ms, "unknown")
	wantSeries(t, translate(md, 0), `
container_memory_rss{cluster="lab",http_status="200",instance="10.0.0.1:10250",job="kubelet",metrics_path="/metrics/cadvisor",namespace="shop",node="other",pod="web"} 7 @5
kubelet_evictions{cluster="lab",eviction_signal="memory.available",instance="10.0.0.1:10250",job="kubelet",metrics_path="/metrics/cadvisor",node="node-1"} 3 @5
weird__name:rule{a__b="1",cluster="lab",déjà="vu",instance="10.0.0.1:10250",job="kubelet",metrics_path="/metrics/cadvisor",node="node-1"} 1 @5`)
}

func TestAnEmptyLabelOfTheExpositionKeepsTheResourcesOut(t *testing.T) {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=kubelet", "k8s.container.name=crowsnest", "k8s.pod.name=agent")
	addGauge(ms, "container_memory_rss", "", 7, 5, "container=", "pod=web")
	exposition(ms, "gauge")
	wantSeries(t, translate(md, 0), `container_memory_rss{job="kubelet",pod="web"} 7 @5`)
}

func TestOpenTelemetryNamesAreTranslated(t *testing.T) {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=cart", "service.namespace=shop", "service.instance.id=i-1", "k8s.namespace.name=shop",
		"k8s.pod.name=cart-1", "k8s.container.name=app", "k8s.node.name=node-1", "k8s.pod.uid=u-1", "service.version=1.2")
	scope := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Scope()
	scope.SetName("lib")
	scope.SetVersion("0.1")
	addCounter(ms, "http.server.requests", "{request}", 3, 5, "http.route=/x", "pod=own")
	addGauge(ms, "process.memory.usage", "By", 7, 9)
	addGauge(ms, "cpu.utilization", "1", 0.5, 5)
	const shared = `container="app",instance="i-1",job="shop/cart",namespace="shop",node="node-1",otel_scope_name="lib",otel_scope_version="0.1",pod="cart-1"`
	wantSeries(t, translate(md, 0), `
cpu_utilization_ratio{`+shared+`} 0.5 @5
http_server_requests_total{container="app",http_route="/x",instance="i-1",job="shop/cart",namespace="shop",node="node-1",otel_scope_name="lib",otel_scope_version="0.1",pod="own"} 3 @5
process_memory_usage_bytes{`+shared+`} 7 @9
target_info{container="app",instance="i-1",job="shop/cart",k8s_pod_uid="u-1",namespace="shop",node="node-1",pod="cart-1",service_version="1.2"} 1 @9`)
}

// kube_* describe other objects than the resource: they block its labels.
func TestEmptyResourceAttributesGiveNoLabel(t *testing.T) {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=kube-state-metrics", "service.instance.id=", "k8s.node.name=", "k8s.pod.name=", "k8s.cluster.name=lab", "url.path=")
	addGauge(ms, "kube_pod_info", "", 1, 5, "pod=web")
	exposition(ms, "gauge")
	ms = resourceMetrics(md, "service.name=", "service.namespace=shop", "service.instance.id=", "k8s.namespace.name=", "x=")
	addGauge(ms, "g", "", 1, 5)
	wantSeries(t, translate(md, 0), `
g{} 1 @5
kube_pod_info{cluster="lab",job="kube-state-metrics",pod="web"} 1 @5`)
}

// The labels of a metric follow the one before only as long as they are alike.
func TestLabelsChangeFromPointToPoint(t *testing.T) {
	md := pmetric.NewMetrics()
	for _, node := range []string{"n1", "n2"} {
		ms := resourceMetrics(md, "service.name=a", "k8s.node.name="+node)
		addGauge(ms, "g", "", 1, 5, "a=1", "b=2")
		addGauge(ms, "g", "", 1, 5, "b=3", "a=4")
		addGauge(ms, "g", "", 1, 5, "a=5", "b=")
		addGauge(ms, "g", "", 1, 5, "a=6")
		addGauge(ms, "g", "", 1, 5, "a=7", "node=own")
		addGauge(ms, "g", "", 1, 5)
		addHistogram(ms, "h", "", nil, nil, 0, 5, "le=own")
		addGauge(ms, "g", "", 1, 5, "le=own")
		addGauge(ms, "g", "", 1, 5, "a.b=1", "a_b=2")
		addGauge(ms, "g", "", 1, 5, "a.b=1", "a_c=2")
	}
	var want []string
	for _, node := range []string{"n1", "n2"} {
		at := `job="a",node="` + node + `"`
		want = append(want, `g{a="1",b="2",`+at+`} 1 @5`, `g{a="4",b="3",`+at+`} 1 @5`, `g{a="5",`+at+`} 1 @5`, `g{a="6",`+at+`} 1 @5`,
			`g{a="7",job="a",node="own"} 1 @5`, `g{`+at+`} 1 @5`, `g{job="a",le="own",node="`+node+`"} 1 @5`, `g{a_b="1;2",`+at+`} 1 @5`, `g{a_b="1",a_c="2",`+at+`} 1 @5`,
			`h_bucket{exported_le="own",job="a",le="+Inf",node="`+node+`"} 0 @5`, `h_count{exported_le="own",`+at+`} 0 @5`, `h_sum{exported_le="own",`+at+`} 0 @5`)
	}
	slices.Sort(want)
	wantSeries(t, translate(md, 0), strings.Join(want, "\n"))
}

func TestNoTargetInfoWithoutAnythingToJoinBy(t *testing.T) {
	md := pmetric.NewMetrics()
	addGauge(resourceMetrics(md, "k8s.pod.uid=u-1"), "g", "", 1, 5)
	wantSeries(t, translate(md, 0), `g{} 1 @5`)
}

func TestNoTargetInfoWithoutMoreAttributes(t *testing.T) {
	md := pmetric.NewMetrics()
	addGauge(resourceMetrics(md, "service.name=a", "k8s.pod.name=p"), "g", "", 1, 5)
	wantSeries(t, translate(md, 0), `g{job="a",pod="p"} 1 @5`)
}

func TestHistogramBecomesCumulativeBuckets(t *testing.T) {
	md := pmetric.NewMetrics()
	dp := addHistogram(resourceMetrics(md, "service.name=a"), "rpc.duration", "s", []float64{0.5, 1}, []uint64{1, 2, 4}, 9.5, 5, "le=own")
	e := dp.Exemplars().AppendEmpty()
	e.SetDoubleValue(0.7)
	e.SetTimestamp(at(4))
	e.SetTraceID(pcommon.TraceID{1})
	e.SetSpanID(pcommon.SpanID{2})
	wantSeries(t, translate(md, 0), `
rpc_duration_seconds_bucket{exported_le="own",job="a",le="+Inf"} 7 @5
rpc_duration_seconds_bucket{exported_le="own",job="a",le="0.5"} 1 @5
rpc_duration_seconds_bucket{exported_le="own",job="a",le="1.0"} 3 @5 # {span_id="0200000000000000",trace_id="01000000000000000000000000000000"} 0.7 @4
rpc_duration_seconds_count{exported_le="own",job="a"} 7 @5
rpc_duration_seconds_sum{exported_le="own",job="a"} 9.5 @5`)
}

func TestHistogramWithoutBucketsOrSum(t *testing.T) {
	md := pmetric.NewMetrics()
	dp := addHistogram(resourceMetrics(md), "h", "", nil, nil, 0, 5)
	dp.SetCount(3)
	dp.RemoveSum()
	wantSeries(t, translate(md, 0), "h_bucket{le=\"+Inf\"} 3 @5\nh_count{} 3 @5")
}

func TestHistogramWithExplicitInfinity(t *testing.T) {
	md := pmetric.NewMetrics()
	addHistogram(resourceMetrics(md), "h", "", []float64{1, math.Inf(1)}, []uint64{1, 2, 0}, 4, 5)
	wantSeries(t, translate(md, 0), "h_bucket{le=\"+Inf\"} 3 @5\nh_bucket{le=\"1.0\"} 1 @5\nh_count{} 3 @5\nh_sum{} 4 @5")
}

func TestSummary(t *testing.T) {
	md := pmetric.NewMetrics()
	m := resourceMetrics(md).AppendEmpty()
	m.SetName("gc")
	m.SetUnit("s")
	dp := m.SetEmptySummary().DataPoints().AppendEmpty()
	dp.SetTimestamp(at(5))
	dp.SetCount(9)
	dp.SetSum(3)
	for _, q := range []float64{0, 0.5, 1} {
		v := dp.QuantileValues().AppendEmpty()
		v.SetQuantile(q)
		v.SetValue(q * 10)
	}
	wantSeries(t, translate(md, 0), `
gc_seconds_count{} 9 @5
gc_seconds_sum{} 3 @5
gc_seconds{quantile="0.0"} 0 @5
gc_seconds{quantile="0.5"} 5 @5
gc_seconds{quantile="1.0"} 10 @5`)
}

// Buckets must lie where OpenTelemetry puts the observations: the native
// histogram's own iterator gives their bounds.
func TestExponentialHistogramKeepsBounds(t *testing.T) {
	f := func(scale, offset int32, counts []uint64) {
		t.Helper()
		md := pmetric.NewMetrics()
		addNative(resourceMetrics(md), "h", "", scale, offset, counts, 1, 5)
		b := translate(md, 0)
		if len(b.points) != 1 {
			t.Fatalf("scale %d: %d points, want 1", scale, len(b.points))
		}
		h := b.points[0].detail.native
		if err := h.Validate(); err != nil {
			t.Fatalf("scale %d offset %d counts %v: %v", scale, offset, counts, err)
		}
		shift := max(0, scale-maxSchema)
		base := math.Pow(2, math.Pow(2, -float64(h.Schema)))
		got := map[int32]uint64{}
		for it := h.PositiveBucketIterator(); it.Next(); {
			if n := it.At().Count; n > 0 {
				got[it.At().Index] += n
			}
		}
		want := map[int32]uint64{}
		for i, n := range counts {
			// OpenTelemetry: bucket index i at the lower scale covers
			// (base^i, base^(i+1)]; Prometheus names it by i+1.
			if index := (offset+int32(i))>>shift + 1; n > 0 {
				want[index] += n
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("scale %d offset %d base %v (-want +got):\n%s", scale, offset, base, diff)
		}
	}
	f(0, 0, []uint64{1, 2, 3})
	f(0, -3, []uint64{1, 0, 0, 4})
	f(3, 10, []uint64{5, 0, 0, 0, 0, 7})
	f(3, -100, []uint64{0, 0, 0, 0, 9})
	f(10, -7, []uint64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})
	f(20, 1<<20, []uint64{1, 0, 3})
	f(8, math.MaxInt32-4, []uint64{1, 2})
	f(-4, -2, []uint64{1, 0, 1})
	f(0, 0, nil)
}

func TestStaleFlags(t *testing.T) {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=a", "x=y")
	stale := pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)
	addGauge(ms, "g", "", 0, 5).SetFlags(stale)
	addNative(ms, "n", "", 0, 0, nil, 0, 5).SetFlags(stale)
	addHistogram(ms, "h", "", nil, nil, 0, 5).SetFlags(stale)
	wantSeries(t, translate(md, 0), `
g{job="a"} stale @5
h_bucket{job="a",le="+Inf"} stale @5
h_count{job="a"} stale @5
h_sum{job="a"} stale @5
n{job="a"} stale @5`)
}

func TestDropsAreCountedByReason(t *testing.T) {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md)
	addCounter(ms, "delta", "", 1, 5)
	ms.At(0).Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	addCounter(ms, "unspecified", "", 1, 5)
	ms.At(1).Sum().SetAggregationTemporality(pmetric.AggregationTemporalityUnspecified)
	addHistogram(ms, "delta_h", "", []float64{1}, []uint64{1, 2}, 1, 5)
	ms.At(2).Histogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	addHistogram(ms, "short", "", []float64{1, 2}, []uint64{1}, 1, 5)
	addHistogram(ms, "unsorted", "", []float64{2, 1}, []uint64{1, 1, 1}, 1, 5)
	addHistogram(ms, "nan", "", []float64{math.NaN()}, []uint64{1, 1}, 1, 5)
	addNative(ms, "coarse", "", -5, 0, []uint64{1}, 1, 5)
	addGauge(ms, "\u2603", "", 1, 5)
	addGauge(ms, "good", "", 1, 5)
	b := translate(md, 0)
	wantSeries(t, b, `good{} 1 @5`)
	want := map[string]int{reasonDeltaTemporality: 2, ledger.ReasonMalformed: 5, reasonUnsupportedScale: 1}
	if diff := cmp.Diff(want, b.dropped); diff != "" {
		t.Errorf("drops (-want +got):\n%s", diff)
	}
	if b.items != 9 {
		t.Errorf("%d items, want 9", b.items)
	}
}

func TestLabelNamesAreSanitizedAndJoined(t *testing.T) {
	f := func(want string, attributes ...string) {
		t.Helper()
		md := pmetric.NewMetrics()
		addGauge(resourceMetrics(md), "g", "", 1, 5, attributes...)
		wantSeries(t, translate(md, 0), want)
	}
	f(`g{a_b="1;2;3"} 1 @5`, "a_b=3", "a-b=1", "a.b=2")
	f(`g{a_b="1;2;3"} 1 @5`, "a.b=2", "a_b=3", "a-b=1")
	f(`g{key_1st="x"} 1 @5`, "1st=x")
	f(`g{_x="1"} 1 @5`, "_x=1")
	f(`g{unnamed="x"} 1 @5`, "\u2603=x")
	f(`g{} 1 @5`, "__name__=evil")
	f(`g{v="a�b"} 1 @5`, "v=a\xffb")
	f(`g{Z="1",a="2"} 1 @5`, "a=2", "Z=1") // "Z" sorts before "__name__"
}

func TestMissingTimestampIsNow(t *testing.T) {
	md := pmetric.NewMetrics()
	addGauge(resourceMetrics(md), "g", "", 1, 0)
	wantSeries(t, translate(md, 77), `g{} 1 @77`)
}

func TestExemplarLabelsStayWithinTheLimit(t *testing.T) {
	md := pmetric.NewMetrics()
	dp := addCounter(resourceMetrics(md), "c", "", 1, 5)
	for i, ms := range []int64{4, 3} { // out of order
		e := dp.Exemplars().AppendEmpty()
		e.SetIntValue(int64(i))
		e.SetTimestamp(at(ms))
		e.SetTraceID(pcommon.TraceID{1})
		put(e.FilteredAttributes(), "user.id=u", "long="+strings.Repeat("x", 100), "trace_id=other")
	}
	wantSeries(t, translate(md, 0), `c_total{} 1 @5`+
		` # {trace_id="01000000000000000000000000000000",user_id="u"} 1 @3`+
		` # {trace_id="01000000000000000000000000000000",user_id="u"} 0 @4`)
}

func TestRealCadvisorPagePassesThrough(t *testing.T) {
	md := cadvisorPage(t, time.Now())
	b := translate(md, 0)
	if len(b.points) < 2000 || len(b.dropped) != 0 {
		t.Fatalf("%d points, drops %v; want all of the page and no drops", len(b.points), b.dropped)
	}
	seen := map[string]bool{}
	for _, line := range strings.Split(render(b.points), "\n") {
		name, _, _ := strings.Cut(line, " @")
		seen[name[:strings.LastIndex(name, " ")]] = true
		if !strings.Contains(line, `job="kubelet"`) || !strings.Contains(line, `metrics_path="/metrics/cadvisor"`) || !strings.Contains(line, `node="node-1"`) {
			t.Fatalf("identity is missing: %s", line)
		}
		if strings.Contains(line, `=""`) {
			t.Fatalf("empty label: %s", line)
		}
	}
	if len(seen) != len(b.points) {
		t.Errorf("%d distinct series of %d points", len(seen), len(b.points))
	}
}
