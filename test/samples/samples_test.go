package samples

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const page = `# TYPE up gauge
up 1
# TYPE done counter
done_total{by="x"} 2 1800000000000
# TYPE size histogram
size_bucket{le="1"} 1
size_bucket{le="+Inf"} 3
size_sum 5
size_count 3
# TYPE took summary
took{quantile="0.5"} 0.1
took_sum 2
took_count 4
`

// metrics are those of page, written by hand.
func metrics(at time.Time) pmetric.MetricSlice {
	all := pmetric.NewMetricSlice()
	now := pcommon.NewTimestampFromTime(at)
	metric := func(name string) pmetric.Metric {
		m := all.AppendEmpty()
		m.SetName(name)
		return m
	}
	up := metric("up").SetEmptyGauge().DataPoints().AppendEmpty()
	up.SetDoubleValue(1)
	up.SetTimestamp(now)
	done := metric("done_total").SetEmptySum().DataPoints().AppendEmpty()
	done.SetDoubleValue(2)
	done.Attributes().PutStr("by", "x")
	done.SetTimestamp(pcommon.NewTimestampFromTime(time.UnixMilli(1_800_000_000_000)))
	size := metric("size").SetEmptyHistogram().DataPoints().AppendEmpty()
	size.ExplicitBounds().Append(1)
	size.BucketCounts().Append(1, 2)
	size.SetSum(5)
	size.SetCount(3)
	size.SetTimestamp(now)
	took := metric("took").SetEmptySummary().DataPoints().AppendEmpty()
	median := took.QuantileValues().AppendEmpty()
	median.SetQuantile(.5)
	median.SetValue(.1)
	took.SetSum(2)
	took.SetCount(4)
	took.SetTimestamp(now)
	return all
}

func TestMetricsAndPageAreTheSameSamples(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	target := labels.FromStrings("job", "j")
	got := Of(metrics(now), target)
	Equal(t, got, OfPage(t, page, "text/plain", now.UnixMilli(), target))
	for _, line := range []string{
		`{__name__="done_total", by="x", job="j"} 2 1800000000000`,
		`{__name__="size_bucket", job="j", le="+Inf"} 3 1700000000000`,
		`{__name__="took", job="j", quantile="0.5"} 0.1 1700000000000`,
	} {
		if !slices.Contains(got, line) {
			t.Errorf("no sample %s in %q", line, got)
		}
	}
}

func TestMarkersAreStale(t *testing.T) {
	all := metrics(time.UnixMilli(1))
	all.At(0).Gauge().DataPoints().At(0).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	if got := Of(all, labels.EmptyLabels()); !slices.Contains(got, `{__name__="up"} stale 1`) {
		t.Errorf("no marker in %q", got)
	}
}

// failures is a test that notes whether it failed.
type failures struct {
	testing.TB
	failed bool
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.failed = true }

func TestEqualFails(t *testing.T) {
	f := &failures{TB: t}
	Equal(f, []string{"a"}, []string{"a"})
	if f.failed {
		t.Error("equal lists are said to differ")
	}
	if Equal(f, []string{"a"}, []string{"b"}); !f.failed {
		t.Error("different lists are said to be equal")
	}
}
