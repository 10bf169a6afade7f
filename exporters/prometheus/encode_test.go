package prometheus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// everyKind has each kind of point, with exemplars and starts where they can be.
func everyKind(nowMs int64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=a", "service.instance.id=i", "service.version=1.2", "k8s.namespace.name=shop", "Zone=z")
	addExemplar := func(to pmetric.ExemplarSlice, v float64) {
		x := to.AppendEmpty()
		x.SetDoubleValue(v)
		x.SetTimestamp(at(nowMs - 10))
		x.SetTraceID(pcommon.TraceID{0xab})
	}
	addGauge(ms, "temperature", "", -1.5, nowMs, "Upper=case", "lower=case")
	ms.At(0).SetDescription("Degrees.")
	c := addCounter(ms, "requests", "", 7, nowMs, "path=/a")
	c.SetStartTimestamp(at(nowMs - 60_000))
	addExemplar(c.Exemplars(), 1)
	h := addHistogram(ms, "rpc.duration", "s", []float64{0.5, 1, 2.5}, []uint64{1, 2, 3, 4}, 19.25, nowMs, "Upper=case", "zone=z")
	h.SetStartTimestamp(at(nowMs - 60_000))
	addExemplar(h.Exemplars(), 0.7)
	n := addNative(ms, "native.duration", "s", 3, -8, []uint64{4, 0, 0, 0, 0, 4}, 7, nowMs)
	n.SetStartTimestamp(at(nowMs - 60_000))
	n.SetZeroCount(2)
	n.SetCount(n.Count() + 2)
	n.Negative().SetOffset(1)
	addExemplar(n.Exemplars(), 0.6)
	s := ms.AppendEmpty()
	s.SetName("gc")
	dp := s.SetEmptySummary().DataPoints().AppendEmpty()
	dp.SetTimestamp(at(nowMs))
	dp.SetCount(2)
	dp.SetSum(3)
	for _, q := range []float64{0.9, 0.5} {
		v := dp.QuantileValues().AppendEmpty()
		v.SetQuantile(q)
		v.SetValue(q * 10)
	}
	return md
}

// decodeV1Lines writes what a v1 request says like render does.
func decodeV1Lines(t *testing.T, message []byte) string {
	t.Helper()
	var req prompb.WriteRequest
	if err := req.Unmarshal(message); err != nil {
		t.Fatal(err)
	}
	var lines []string
	var b labels.ScratchBuilder
	for _, ts := range req.Timeseries {
		line := renderLabels(fromWire(ts.Labels))
		for _, s := range ts.Samples {
			line += fmt.Sprintf(" %v @%d", s.Value, s.Timestamp)
		}
		for _, h := range ts.Histograms {
			line += fmt.Sprintf(" %s @%d", h.ToIntHistogram(), h.Timestamp)
		}
		for _, x := range ts.Exemplars {
			e := x.ToExemplar(&b, nil)
			line += fmt.Sprintf(" # %s %v @%d", renderLabels(fromWire(x.Labels)), e.Value, e.Ts)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func decodeV2Lines(t *testing.T, message []byte) (lines, described []string) {
	t.Helper()
	var req writev2.Request
	if err := req.Unmarshal(message); err != nil {
		t.Fatal(err)
	}
	resolve := func(refs []uint32) string {
		var ls []label
		for i := 0; i < len(refs); i += 2 {
			ls = append(ls, label{req.Symbols[refs[i]], req.Symbols[refs[i+1]]})
		}
		return renderLabels(ls)
	}
	if req.Symbols[0] != "" || len(req.Symbols) != len(slices.Compact(slices.Sorted(slices.Values(req.Symbols)))) {
		t.Errorf("symbols: the first is not empty, or some are there twice: %q", req.Symbols)
	}
	for _, ts := range req.Timeseries {
		line := resolve(ts.LabelsRefs)
		start := int64(0)
		for _, s := range ts.Samples {
			line += fmt.Sprintf(" %v @%d", s.Value, s.Timestamp)
			start = s.StartTimestamp
		}
		for _, h := range ts.Histograms {
			line += fmt.Sprintf(" %s @%d", h.ToIntHistogram(), h.Timestamp)
			start = h.StartTimestamp
		}
		for _, x := range ts.Exemplars {
			line += fmt.Sprintf(" # %s %v @%d", resolve(x.LabelsRefs), x.Value, x.Timestamp)
		}
		lines = append(lines, line)
		name, _, _ := strings.Cut(line, "{")
		described = append(described, fmt.Sprintf("%s %s %q %q from %d", name, ts.Metadata.Type, req.Symbols[ts.Metadata.HelpRef], req.Symbols[ts.Metadata.UnitRef], start))
	}
	slices.Sort(lines)
	slices.Sort(described)
	return lines, slices.Compact(described)
}

func TestRequestsSayWhatThePointsAre(t *testing.T) {
	b := translate(everyKind(100_000), 0)
	want := render(b.points)
	var e encoder
	for range 2 { // an encoder is used again
		if diff := cmp.Diff(want, decodeV1Lines(t, e.encodeV1(pointers(b.points), nil))); diff != "" {
			t.Errorf("v1 (-want +got):\n%s", diff)
		}
		lines, described := decodeV2Lines(t, e.encodeV2(pointers(b.points)))
		if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
			t.Errorf("v2 (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{
			`gc METRIC_TYPE_SUMMARY "" "" from 0`,
			`gc_count METRIC_TYPE_SUMMARY "" "" from 0`,
			`gc_sum METRIC_TYPE_SUMMARY "" "" from 0`,
			`native_duration_seconds METRIC_TYPE_HISTOGRAM "" "seconds" from 40000`,
			`requests_total METRIC_TYPE_COUNTER "" "" from 40000`,
			`rpc_duration_seconds_bucket METRIC_TYPE_HISTOGRAM "" "seconds" from 40000`,
			`rpc_duration_seconds_count METRIC_TYPE_HISTOGRAM "" "seconds" from 40000`,
			`rpc_duration_seconds_sum METRIC_TYPE_HISTOGRAM "" "seconds" from 40000`,
			`target_info METRIC_TYPE_GAUGE "` + targetInfoFamily.help + `" "" from 0`,
			`temperature METRIC_TYPE_GAUGE "Degrees." "" from 0`,
		}, described); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
	}
}

func TestStaleRequestsAreMarked(t *testing.T) {
	b := translate(everyKind(100_000), 0)
	for i := range b.points {
		b.points[i].stale = true
	}
	var e encoder
	var v1 prompb.WriteRequest
	if err := v1.Unmarshal(e.encodeV1(pointers(b.points), nil)); err != nil {
		t.Fatal(err)
	}
	const staleBits = 0x7ff0000000000002
	for _, ts := range v1.Timeseries {
		if len(ts.Samples)+len(ts.Histograms) != 1 {
			t.Errorf("%d samples, %d histograms", len(ts.Samples), len(ts.Histograms))
		}
		for _, s := range ts.Samples {
			if bitsOf(s.Value) != staleBits {
				t.Errorf("%v: %x is not the stale marker", ts.Labels, bitsOf(s.Value))
			}
		}
		for _, h := range ts.Histograms {
			if bitsOf(h.Sum) != staleBits {
				t.Errorf("%v: sum %x is not the stale marker", ts.Labels, bitsOf(h.Sum))
			}
		}
	}
}

// A label set must come back from the table as it went in.
func TestSymbolsKeepLabelSets(t *testing.T) {
	s := newSymbols()
	var sets []string
	var want []packed
	for i := range 300 {
		p := pack([]label{{nameLabel, "m"}, {"a", strings.Repeat("x", i)}, {"b", fmt.Sprint(i % 7)}})
		want, sets = append(want, p), append(sets, s.pack(p))
	}
	for i, set := range sets {
		if got := s.unpack(set); string(got) != string(want[i]) {
			t.Fatalf("%d: %q, want %q", i, got, want[i])
		}
	}
	for _, set := range sets[1:] {
		s.release(set)
	}
	again := s.pack(pack([]label{{"c", "new"}})) // takes a number that is free
	if string(s.unpack(sets[0])) != string(want[0]) || string(s.unpack(again)) != string(pack([]label{{"c", "new"}})) {
		t.Error("a set was changed by the end of others")
	}
	s.release(sets[0])
	s.release(again)
	if s.bytes != 0 || len(s.numbers) != 0 || len(s.all) != 0 {
		t.Errorf("left: %d bytes, %d numbers, %d symbols", s.bytes, len(s.numbers), len(s.all))
	}
}
