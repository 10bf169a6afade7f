package cadence

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const interval = 15 * time.Second

func TestNamesAreSpread(t *testing.T) {
	var quarters [4]int
	for i := range 1000 {
		c := Of(fmt.Sprintf("node-%d", i), interval)
		if c != Of(fmt.Sprintf("node-%d", i), interval) || c.Phase < 0 || c.Phase >= interval {
			t.Fatalf("node-%d: phase %v", i, c.Phase)
		}
		quarters[c.Phase*4/interval]++
	}
	for i, n := range quarters {
		if n < 200 || n > 300 {
			t.Errorf("%d of 1000 nodes are in quarter %d of the interval", n, i)
		}
	}
}

func TestPartsAreEven(t *testing.T) {
	whole := Of("10.0.0.1:10250", interval)
	phases := map[time.Duration]bool{}
	for i := range 4 {
		part := whole.Part(i, 4)
		if part.Phase < 0 || part.Phase >= interval {
			t.Errorf("part %d: phase %v", i, part.Phase)
		}
		phases[part.Phase%(interval/4)] = true
	}
	if len(phases) != 1 || whole.Part(0, 4) != whole {
		t.Errorf("parts are not spread evenly: %v", phases)
	}
}

func TestWaitEndsAtThePhase(t *testing.T) {
	for range 1000 {
		now, c := time.Unix(0, rand.Int64N(1e18)), Cadence{interval, time.Duration(rand.Int64N(int64(interval)))}
		wait := c.Wait(now)
		if at := now.Add(wait).UnixNano(); wait < 0 || wait >= interval || time.Duration(at)%interval != c.Phase {
			t.Fatalf("wait of %v from %v for phase %v", wait, now, c.Phase)
		}
	}
}

// TestRun has a second call that lasts over two and a half intervals.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now() // 2000-01-01 00:00:00 UTC, a multiple of the interval
		ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
		defer cancel()
		var at []time.Duration
		Cadence{interval, 2 * time.Second}.Run(ctx, func(ctx context.Context) {
			at = append(at, time.Since(began))
			if len(at) == 2 {
				time.Sleep(interval * 5 / 2)
			}
		})
		want := []time.Duration{2 * time.Second, 17 * time.Second, 54500 * time.Millisecond, 62 * time.Second, 77 * time.Second}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if got := time.Since(began); got != 80*time.Second {
			t.Errorf("ended after %v, want the end of ctx", got)
		}
	})
}

func TestRunEndsBeforeTheFirstTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		Cadence{interval, 2 * time.Second}.Run(ctx, func(context.Context) { t.Error("called") })
	})
}
