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
		p.commit(taken)
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
