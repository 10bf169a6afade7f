package prometheus

import (
	"slices"
	"testing"
	"unicode/utf8"

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
		ls := b.build("metric", attrs, resource, verbatim, bucketLabel)
		checkLabels(t, ls, true)
		if slices.ContainsFunc(ls, func(l label) bool { return l.Name == bucketLabel }) {
			t.Errorf("the bucket's label is taken: %q", renderLabels(ls))
		}
		again := b.build("metric", other, resource, verbatim, bucketLabel)
		if !slices.ContainsFunc([]string{k1, k2, k3}, func(k string) bool { return k == "" }) && k1 != k2 && k2 != k3 && k1 != k3 && !equalLabels(ls, again) {
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
		tb := newTable(1 << 20)
		tb.update(b.points, epoch)
		var arena labelArena
		for i := range b.points {
			p := &b.points[i]
			if !p.derived {
				items++
			}
			n := 0
			p.expand(&arena, func(s series) { checkLabels(t, s.labels, true); n++ })
			if n != p.seriesCount() {
				t.Errorf("%d series, seriesCount is %d", n, p.seriesCount())
			}
			if p.native != nil {
				if err := checkSpans(p); err != "" {
					t.Error(err)
				}
			}
		}
		if items != b.items {
			t.Errorf("%d points and drops of %d items", items, b.items)
		}
		all := pointers(b.points)
		if _, err := encodeV1(all, nil).Marshal(); err != nil {
			t.Error(err)
		}
		if _, err := encodeV2(all).Marshal(); err != nil {
			t.Error(err)
		}
		if _, _, err := (gatherer{table: tb}).Gather(); err != nil {
			t.Error(err)
		}
		tb.expire(epoch)
		if n, bytes := tb.size(); n != 0 || bytes != 0 {
			t.Errorf("%d series and %d bytes are left", n, bytes)
		}
	})
}

func checkSpans(p *point) string {
	var positive, negative uint32
	for _, s := range p.native.PositiveSpans {
		positive += s.Length
	}
	for _, s := range p.native.NegativeSpans {
		negative += s.Length
	}
	if int(positive) != len(p.native.PositiveBuckets) || int(negative) != len(p.native.NegativeBuckets) {
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
