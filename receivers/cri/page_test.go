package cri

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Containers come and go while the pipeline takes nothing.
func TestRefusedScrapesKeepNothing(t *testing.T) {
	p := newPage(10)
	scrape := func(taken bool, containers ...string) (stale int) {
		p.begin(time.Unix(1, 0), pmetric.NewMetricSlice())
		for _, c := range containers {
			p.add(sample{name: "up", value: 1, labels: []label{{"container", c}}})
		}
		p.sweep()
		stale = p.stale
		p.commit(taken, false)
		return stale
	}
	scrape(true, "a", "b")
	for i := range 100 {
		if n := scrape(false, "a", fmt.Sprint(i)); n != 1 {
			t.Fatalf("%d markers, want that of b alone", n)
		}
	}
	if len(p.previous) != 2 {
		t.Errorf("%d series are remembered, want the two that were taken", len(p.previous))
	}
	if n := scrape(true, "a"); n != 1 {
		t.Errorf("%d markers, want that of b", n)
	}
}

// What the runtime repeats behind a marker goes on right behind that.
func TestResumption(t *testing.T) {
	const ms = int64(time.Millisecond)
	p := newPage(10)
	for i, step := range []struct {
		at     int64 // 0: the series is not there
		failed bool
		taken  bool
		want   int64 // 0: no point
		stale  bool
	}{
		{at: 1000*ms + 7, taken: true, want: 1000},
		{taken: true, failed: true, want: 1001, stale: true},
		{taken: true, failed: true},
		{at: 1000*ms + 7, want: 1002},
		{at: 1000*ms + 7, taken: true, want: 1003}, // was it taken? not known
		{at: 1000*ms + 7, taken: true, want: 1003},
		{want: 1004, stale: true},
		{taken: true, want: 1004, stale: true},
		{at: 1001 * ms, taken: true, want: 1005}, // new, and not newer than what was written
		{at: 2000 * ms, taken: true, want: 2000},
		{at: 1500 * ms, taken: true, want: 1500}, // for the store to refuse
		{at: 3000 * ms, taken: true, want: 3000},
		{taken: true, want: 3001, stale: true},
		{taken: true},
		{at: 4000 * ms, taken: true, want: 4000},
	} {
		out := pmetric.NewMetricSlice()
		p.begin(time.Unix(5, 0), out)
		if step.at > 0 {
			p.add(sample{name: "a", value: 1, at: step.at})
		}
		p.sweep()
		p.commit(step.taken, step.failed)
		got, stale := int64(0), false
		if out.Len() > 0 {
			point := out.At(0).Gauge().DataPoints().At(0)
			got, stale = int64(point.Timestamp())/ms, point.Flags().NoRecordedValue()
		}
		if got != step.want || stale != step.stale {
			t.Errorf("step %d: %d, stale %v, want %d, %v", i, got, stale, step.want, step.stale)
		}
	}
	if len(p.ended) != 0 {
		t.Errorf("%d series that ended are remembered", len(p.ended))
	}
}
