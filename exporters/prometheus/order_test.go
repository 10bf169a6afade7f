package prometheus

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A batch that comes later must not overtake one whose request is being retried.
func TestLaterBatchWaitsForTheRetryOfAnEarlierOne(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []string) bool {
		if broken.Load() {
			http.Error(w, "no", http.StatusServiceUnavailable)
		}
		return broken.Load()
	})
	e := start(t, remoteTo(r.URL, ProtocolV1))
	var wg sync.WaitGroup
	for n := range int64(5) {
		wg.Go(func() {
			if err := e.consume(t.Context(), metrics(gauge(float64(n+1), n+1))); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "the batch is taken in", func() error {
			e.table.mu.Lock()
			defer e.table.mu.Unlock()
			if e.table.batches != uint32(n+1) || r.requestCount() == 0 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	seen := r.requestCount()
	eventually(t, "more retries, with the others waiting", func() error {
		if r.requestCount() < seen+3 {
			return errors.New("not yet")
		}
		return nil
	})
	broken.Store(false)
	wg.Wait()
	taken := r.takenSamples()
	if len(taken) != 5 || taken[0] != "g{} 1 @1" {
		t.Errorf("taken %v; the one that was retried must be first", taken)
	}
	for _, samples := range r.requests[:len(r.requests)-4] {
		if samples[0] != "g{} 1 @1" {
			t.Errorf("%v went past the first", samples)
		}
	}
	e.wantLedger(5, nil)
}

// Many senders, each in order, and a store that fails every third request: the
// samples of every series arrive in order, none in two requests at once.
func TestOrderUnderConcurrencyAndFaults(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []string) bool {
		mu.Lock()
		fail := random.IntN(3) == 0
		mu.Unlock()
		if fail {
			http.Error(w, "no", http.StatusInternalServerError)
		}
		return fail
	})
	e := start(t, remoteTo(r.URL, ProtocolV1), withRetry(func(b *configretry.BackOffConfig) {
		b.InitialInterval, b.MaxInterval = time.Millisecond, time.Millisecond
	}))
	const senders, batches, series = 4, 20, 30
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for n := range batches {
				err := e.consume(t.Context(), metrics(func(ms pmetric.MetricSlice) {
					for i := range series {
						addGauge(ms, "g", "", float64(n), int64(n+1), fmt.Sprintf("s=%d-%d", sender, i))
					}
				}))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(r.overlaps) > 0 {
		t.Errorf("in two requests at once: %v", r.overlaps)
	}
	next := map[string]int{}
	for _, s := range r.takenSamples() {
		name, rest, _ := strings.Cut(s, "} ")
		if want := fmt.Sprintf("%d @%d", next[name], next[name]+1); rest != want {
			t.Fatalf("%s: %s, want %s", name, rest, want)
		}
		next[name]++
	}
	if len(next) != senders*series {
		t.Errorf("%d series, want %d", len(next), senders*series)
	}
	e.wantLedger(senders*batches*series, nil)
}

func TestARequestHoldsASeriesOnce(t *testing.T) {
	r := newReceiver(t, nil)
	e := start(t, remoteTo(r.URL, ProtocolV1), tuneRemote(func(c *RemoteWriteConfig) { c.Shards = 1 }))
	e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
		for _, n := range []int64{2, 1, 3} {
			gauge(float64(n), n)(ms)
			gauge(float64(n), n, "a=b")(ms)
		}
	}))
	want := [][]string{
		{"g{} 1 @1", `g{a="b"} 1 @1`},
		{"g{} 2 @2", `g{a="b"} 2 @2`},
		{"g{} 3 @3", `g{a="b"} 3 @3`},
	}
	if diff := cmp.Diff(want, r.requests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	r := newReceiver(t, nil)
	e := start(t, remoteTo(r.URL, ProtocolV1), tuneRemote(func(c *RemoteWriteConfig) { c.Shards = 1 }))
	long := "long=" + strings.Repeat("x", maxRequestBytes/4)
	e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
		for i := range maxRequestSeries + 500 {
			gauge(1, 5, "i="+strconv.Itoa(i))(ms)
		}
		for i := range 8 {
			gauge(1, 5, "i="+strconv.Itoa(i), long)(ms)
		}
	}))
	for _, samples := range r.requests {
		size := 0
		for _, s := range samples {
			size += len(s)
		}
		if len(samples) > maxRequestSeries || size > maxRequestBytes {
			t.Errorf("request of %d samples, %d bytes", len(samples), size)
		}
	}
	if got := len(r.takenSamples()); got != maxRequestSeries+508 {
		t.Errorf("%d samples, want %d", got, maxRequestSeries+508)
	}
}
