package scrape

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// store is the pipeline behind the receiver: it keeps each series' last value.
type store struct {
	mu       sync.Mutex
	series   map[string]string // "stale" or the value
	requests int
	points   int
	err      error
	last     pmetric.Metrics
}

func (*store) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *store) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.err != nil {
		return s.err
	}
	s.last = md
	s.points += md.DataPointCount()
	lines := flatten(md)
	// A series may end and begin anew in one request; the later point counts.
	slices.SortStableFunc(lines, func(a, b string) int {
		return strings.Compare(a[strings.LastIndexByte(a, ' '):], b[strings.LastIndexByte(b, ' '):])
	})
	for _, line := range lines {
		line = line[:strings.LastIndexByte(line, ' ')]
		end := strings.LastIndexByte(line, '}') + 1
		s.series[line[:end]] = line[end+1:]
	}
	return nil
}

// live are the series that have a value and all the texts in their labels.
func (s *store) live(contain ...string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]string{}
	for id, value := range s.series {
		has := value != "stale"
		for _, text := range contain {
			has = has && strings.Contains(id, text)
		}
		if has {
			found[id] = value
		}
	}
	return found
}

func (s *store) lines(contain ...string) []string {
	var all []string
	for id, value := range s.live(contain...) {
		if !strings.Contains(id, `__name__="scrape_`) {
			all = append(all, id+" "+value)
		}
	}
	return sorted(all)
}

// hostWith is a host with extensions.
type hostWith map[component.ID]component.Component

func (h hostWith) GetExtensions() map[component.ID]component.Component { return h }

type podsExtension struct {
	component.StartFunc
	component.ShutdownFunc
	cache *kubemeta.Cache
}

func (p podsExtension) Cache() *kubemeta.Cache { return p.cache }

var podsID = component.MustNewID("kubepods")

type rig struct {
	*scrapeReceiver
	cache     *kubemeta.Cache
	store     *store
	logs      *observer.ObservedLogs
	telemetry *componenttest.Telemetry
}

// newRig starts a receiver that scrapes ten times a second.
func newRig(t testing.TB, change func(*Config), more ...hostWith) *rig {
	t.Helper()
	r := makeRig(t, change)
	host := hostWith{podsID: podsExtension{cache: r.cache}}
	for _, e := range more {
		maps.Copy(host, e)
	}
	if err := r.Start(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	return r
}

// stoppedRig makes a receiver whose targets are scraped by hand.
func stoppedRig(t testing.TB) *rig { return makeRig(t, func(*Config) {}) }

// scraper makes one of a server.
func (r *rig) scraper(t testing.TB, j *job, s *httptest.Server) *scraper {
	t.Helper()
	if err := j.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.close)
	found, err := newTarget(j, map[string]string{"__address__": addressOfServer(s)})
	if err != nil {
		t.Fatal(err)
	}
	return newScraper(r.env, found)
}

func makeRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{store: &store{series: map[string]string{}}, telemetry: componenttest.NewTelemetry(), cache: kubemeta.NewCache()}
	t.Cleanup(func() { _ = r.telemetry.Shutdown(context.Background()) })
	cfg := NewFactory().CreateDefaultConfig().(*Config)
	cfg.Interval, cfg.Timeout = 100*time.Millisecond, 100*time.Millisecond
	cfg.Pods = &podsID
	cfg.Node = "node-1"
	change(cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = r.telemetry.NewTelemetrySettings()
	core, logs := observer.New(zapcore.InfoLevel)
	set.Logger, r.logs = zap.New(core), logs
	made, err := NewFactory().CreateMetrics(t.Context(), set, cfg, r.store)
	if err != nil {
		t.Fatal(err)
	}
	r.scrapeReceiver = made.(*scrapeReceiver)
	t.Cleanup(func() {
		for range 2 { // twice must be safe
			_ = r.Shutdown(context.Background())
		}
	})
	return r
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func answer(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

// failed checks that a scrape failed so, that up says it, and the log what to do.
func (r *rig) failed(t testing.TB, outcome string, says ...string) {
	t.Helper()
	eventually(t, "outcome "+outcome, func() bool {
		return counters.Sum(t, r.telemetry, "crowsnest_scrape_scrapes", "outcome", outcome) > 0
	})
	eventually(t, "up is 0", func() bool {
		for _, value := range r.store.live(`__name__="up"`) {
			if value == "0" {
				return true
			}
		}
		return false
	})
	logged := fmt.Sprint(r.logs.FilterMessageSnippet("Scrape failed").All())
	for _, say := range says {
		if !strings.Contains(logged, say) {
			t.Errorf("log does not say %q: %s", say, logged)
		}
	}
}
