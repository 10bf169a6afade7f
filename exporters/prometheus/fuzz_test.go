package prometheus

import (
	"io"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// checkLabels: what every receiver of remote write demands of a label set.
func checkLabels(t *testing.T, ls []label, nameWanted bool) {
	t.Helper()
	if !slices.IsSortedFunc(ls, compareLabels) || hasDuplicates(ls) {
		t.Errorf("not sorted or not unique: %q", renderLabels(ls))
	}
	named := false
	for _, l := range ls {
		named = named || l.Name == nameLabel
		if l.Name == "" || l.Value == "" || !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value) {
			t.Errorf("bad label %q=%q", l.Name, l.Value)
		}
	}
	if named != nameWanted {
		t.Errorf("named %v, want %v: %q", named, nameWanted, renderLabels(ls))
	}
}

func FuzzLabels(f *testing.F) {
	f.Add("http.method", "GET", "http_method", "POST", "job", true)
	f.Add("", "", "__name__", "x", "le", false)
	f.Add("\xff", "\xff", "1a", "b", "quantile", false)
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3 string, verbatim bool) {
		attrs := pcommon.NewMap()
		attrs.PutStr(k1, v1)
		attrs.PutStr(k2, v2)
		attrs.PutStr(k3, "third")
		other := pcommon.NewMap()
		other.PutStr(k3, "third")
		if k2 != k3 {
			other.PutStr(k2, v2)
		}
		if k1 != k2 && k1 != k3 {
			other.PutStr(k1, v1)
		}
		resource := []label{{Name: "instance", Value: "i"}, {Name: "job", Value: "j"}}
		var b labeler
		src := labelSource{metric: "metric", resource: resource, verbatim: verbatim, reserved: bucketLabel}
		ls := unpack(b.build(src, attrs))
		checkLabels(t, ls, true)
		if slices.ContainsFunc(ls, func(l label) bool { return l.Name == bucketLabel }) {
			t.Errorf("the bucket's label is taken: %q", renderLabels(ls))
		}
		again := unpack(b.build(src, other))
		if !slices.ContainsFunc([]string{k1, k2, k3}, func(k string) bool { return k == "" }) && k1 != k2 && k2 != k3 && k1 != k3 && !slices.Equal(ls, again) {
			t.Errorf("the order of attributes matters: %q, %q", renderLabels(ls), renderLabels(again))
		}
	})
}

// FuzzTranslate feeds arbitrary OTLP to everything between pdata and the wire.
func FuzzTranslate(f *testing.F) {
	for _, md := range []pmetric.Metrics{pageMetrics(), metrics(func(ms pmetric.MetricSlice) {
		addNative(ms, "n", "s", 3, -8, []uint64{1, 0, 2}, 7, 5, "a=b")
		addNative(ms, "n", "s", 30, 1<<30, []uint64{1, 0, 2}, 7, 6, "a=b")
		addHistogram(ms, "h", "", []float64{1, 2}, []uint64{1, 2, 3}, 1, 5).SetFlags(1)
	})} {
		b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(data)
		if err != nil {
			return
		}
		b := translate(md, 1)
		items := 0
		for _, n := range b.dropped {
			items += n
		}
		tb := newTable(1<<20, time.Hour)
		tb.update(b, epoch)
		for i := range b.points {
			p := &b.points[i]
			if !p.derived {
				items++
			}
			n := 0
			p.expand(func(s *sample) { checkLabels(t, unpacked(p, s), true); n++ })
			if n != p.seriesCount() {
				t.Errorf("%d series, seriesCount is %d", n, p.seriesCount())
			}
			if p.detail != nil && p.detail.native != nil {
				if err := checkSpans(p); err != "" {
					t.Error(err)
				}
			}
		}
		if items != b.items {
			t.Errorf("%d points and drops of %d items", items, b.items)
		}
		all := pointers(b.points)
		var e encoder
		var v1 prompb.WriteRequest
		if err := v1.Unmarshal(e.encodeV1(all, nil)); err != nil {
			t.Error(err)
		}
		var v2 writev2.Request
		if err := v2.Unmarshal(e.encodeV2(all)); err != nil {
			t.Error(err)
		}
		for _, format := range []expfmt.FormatType{expfmt.TypeTextPlain, expfmt.TypeOpenMetrics, expfmt.TypeProtoDelim} {
			if err := (&page{table: tb}).write(io.Discard, newWriterOf(expfmt.NewFormat(format))); err != nil {
				t.Error(err)
			}
		}
		tb.expire(epoch.Add(time.Hour), 0)
		wantEmpty(t, tb)
	})
}

func checkSpans(p *point) string {
	var positive, negative uint32
	for _, s := range p.detail.native.PositiveSpans {
		positive += s.Length
	}
	for _, s := range p.detail.native.NegativeSpans {
		negative += s.Length
	}
	if int(positive) != len(p.detail.native.PositiveBuckets) || int(negative) != len(p.detail.native.NegativeBuckets) {
		return "spans and buckets differ"
	}
	return ""
}

func pointers(points []point) []*point {
	out := make([]*point, 0, len(points))
	for i := range points {
		out = append(out, &points[i])
	}
	return out
}
