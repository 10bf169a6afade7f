package complaint

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// observed returns a log and the lines "level message suppressed" it has so far.
func observed(interval time.Duration) (*Log, func() []string) {
	core, logs := observer.New(zapcore.DebugLevel)
	return New(zap.New(core, zap.AddCaller()), interval), func() []string {
		var lines []string
		for _, e := range logs.TakeAll() {
			lines = append(lines, fmt.Sprint(e.Level, " ", e.Message, " ", e.ContextMap()["suppressed"]))
		}
		return lines
	}
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestLastingCauseIsLoggedOncePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := observed(time.Minute)
		for range 120 {
			log.Warn("store", "Store is away")
			time.Sleep(time.Second)
		}
		expect(t, lines(), "warn Store is away 0", "warn Store is away 59")
		log.Over("store", "Store is back")
		expect(t, lines(), "info Store is back 59")
		log.Over("store", "Store is back")
		expect(t, lines())
	})
}

func TestCausesAreToldApart(t *testing.T) {
	log, lines := observed(time.Minute)
	log.Warn("a", "A")
	log.Error("b", "B")
	log.Info("c", "C")
	log.Warn("a", "A")
	expect(t, lines(), "warn A 0", "error B 0", "info C 0")
}

func TestOverEndsTheCausesBelow(t *testing.T) {
	log, lines := observed(time.Minute)
	for range 2 {
		log.Warn("scrape/timeout", "Slow")
		log.Warn("scrape/refused", "Refused")
		log.Warn("scraper", "Another")
	}
	lines()
	log.Over("scrape", "Works again", zap.String("target", "x"))
	expect(t, lines(), "info Works again 2")
	log.Over("scraper", "Other is over")
	expect(t, lines(), "info Other is over 1")
	log.Over("never", "Was never said")
	expect(t, lines())
}

func TestFlappingDoesNotFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := observed(time.Minute)
		for range 61 {
			log.Warn("store", "Store is away")
			log.Over("store", "Store is back")
			time.Sleep(time.Second)
		}
		expect(t, lines(), "warn Store is away 0", "info Store is back 0", "warn Store is away 59", "info Store is back 0")
	})
}

func TestMemoryIsBoundedAndNothingIsSilenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := observed(time.Minute)
		for i := range 100_000 {
			log.Warn(fmt.Sprintf("cause %d", i), "Hostile")
		}
		log.Warn(strings.Repeat("x", 2*maxBytes), "Long")
		if log.bytes > maxBytes || len(log.causes) > maxBytes/causeBytes {
			t.Errorf("%d bytes in %d causes, more than %d bytes", log.bytes, len(log.causes), maxBytes)
		}
		if n := len(lines()); n != len(log.causes)+1 {
			t.Errorf("%d lines of %d causes, want one for each and one for all others", n, len(log.causes))
		}
		time.Sleep(time.Minute)
		log.Warn("another cause", "Later")
		expect(t, lines(), "warn Later 0")
		if len(log.causes) != 1 || log.bytes != causeBytes+len("another cause") {
			t.Errorf("%d causes of %d bytes are known, the old ones were not forgotten", len(log.causes), log.bytes)
		}
	})
}

func TestCallerIsTheOneWhoComplains(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	log := New(zap.New(core, zap.AddCaller()), time.Minute)
	log.Warn("store", "Store is away")
	log.Over("store", "Store is back")
	for _, e := range logs.All() {
		if file := filepath.Base(e.Caller.File); file != "complaint_test.go" {
			t.Errorf("%s: logged by %s", e.Message, file)
		}
	}
	if logs.Len() != 2 {
		t.Errorf("%d lines, want 2", logs.Len())
	}
}

func TestFieldsOfTheCallerAreNotWrittenTo(t *testing.T) {
	log, _ := observed(time.Minute)
	fields := make([]zap.Field, 1, 2)
	fields[0] = zap.String("path", "/")
	log.Warn("a", "A", fields...)
	if got := fields[:2][1]; got.Key != "" {
		t.Errorf("the caller's slice has a field %q behind its end", got.Key)
	}
}

func TestConcurrentComplaints(t *testing.T) {
	log, lines := observed(time.Hour)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 1000 {
				log.Warn("store", "Store is away")
			}
		})
	}
	running.Wait()
	expect(t, lines(), "warn Store is away 0")
	log.Over("store", "Store is back")
	expect(t, lines(), "info Store is back 7999")
}

// BenchmarkSuppressed is what a complaint costs that is not logged.
func BenchmarkSuppressed(b *testing.B) {
	log := New(zap.NewNop(), time.Hour)
	for b.Loop() {
		log.Warn("store", "Store is away", zap.Int("records", 1))
	}
}
