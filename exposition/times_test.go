package exposition

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// TestTimes goes through a source with times of its own that is away, repeats
// itself behind the marker, and goes on.
func TestTimes(t *testing.T) {
	var s Times
	for i, step := range []struct {
		now  int64
		at   int64 // 0: a marker is made instead
		want int64
	}{
		{now: 5000, at: 1000, want: 1000},
		{now: 6000, want: 1001},              // right behind it, not now
		{now: 7000, want: 1001},              // again: the first was not taken
		{now: 8000, at: 1000, want: 1002},    // the old value, behind the marker
		{now: 9000, at: 1000, want: 1002},    // as long as it is repeated
		{now: 10000, at: 1001, want: 1003},   // newer, but not than what was sent
		{now: 11000, at: 2000, want: 2000},   // newer
		{now: 12000, at: 1500, want: 1500},   // went back: the store's to judge
		{now: 13000, at: 13000, want: 13000}, // without a time of its own
		{now: 14000, want: 14000},
		{now: 13500, want: 14000}, // the clock went back, and the marker stays
		{now: 15000, at: 15000, want: 15000},
		{now: 14900, want: 15001}, // never at the value's own time
	} {
		got := int64(0)
		if step.at > 0 {
			s.Take(step.at, step.now)
			got, s.Ended = s.Sent, false // as a page does once it is whole
		} else {
			got = s.End(s.Marker(step.now))
		}
		if got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
}

func TestTimestamp(t *testing.T) {
	for from, want := range map[int64]uint64{0: 0, 1: 1e6, MaxMilliseconds: MaxMilliseconds * 1e6, -1: 0, MaxMilliseconds + 1: 0, math.MaxInt64: 0} {
		if got := uint64(Timestamp(from)); got != want {
			t.Errorf("Timestamp(%d) = %d, want %d", from, got, want)
		}
	}
}

func TestExemplars(t *testing.T) {
	to := pmetric.NewExemplarSlice()
	PutExemplars(to, []exemplar.Exemplar{
		{Labels: labels.FromStrings("trace_id", "0102030405060708090a0b0c0d0e0f10", "span_id", "0102030405060708", "user", "me"), Value: 2, Ts: 7, HasTs: true},
		{Labels: labels.FromStrings("trace_id", "short"), Value: 3},
	}, 5)
	with, without := to.At(0), to.At(1)
	if with.TraceID().String() != "0102030405060708090a0b0c0d0e0f10" || with.SpanID().String() != "0102030405060708" ||
		with.DoubleValue() != 2 || with.Timestamp() != 7e6 || with.FilteredAttributes().Len() != 1 {
		t.Errorf("with ids: %v %v %v %v %v", with.TraceID(), with.SpanID(), with.DoubleValue(), with.Timestamp(), with.FilteredAttributes().AsRaw())
	}
	if id, _ := without.FilteredAttributes().Get("trace_id"); id.Str() != "short" || !without.TraceID().IsEmpty() || without.Timestamp() != 5e6 {
		t.Errorf("without: %v %v %v", without.FilteredAttributes().AsRaw(), without.TraceID(), without.Timestamp())
	}
}
