package loki

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/loki/pkg/push"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// A Loki with limits below its defaults answers as its distributor does: it
// takes the valid entries and lists the others. test/stores runs Loki with its
// defaults, so these answer by hand, in the words of pkg/validation/validate.go.

func TestLineLimitBelowTheDefault(t *testing.T) {
	const limit = 64 << 10
	loki := &faultyLoki{}
	loki.fault = func(_ int, w http.ResponseWriter, _ *http.Request, req *push.PushRequest) int {
		return loki.takeValid(w, req, func(e push.Entry) string {
			if len(e.Line) > limit {
				return fmt.Sprintf("max entry size '%d' bytes exceeded for stream '%s' while adding an entry with length '%d' bytes", limit, req.Streams[0].Labels, len(e.Line))
			}
			return ""
		})
	}
	h := startExporter(t, loki.start(t))
	ld := logs(1, 10)
	ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(3).Body().SetStr(strings.Repeat("x", 100_000))
	if err := h.ConsumeLogs(t.Context(), ld); err != nil {
		t.Fatal(err)
	}
	if n := loki.taken[strings.Repeat("x", limit)]; n != 1 {
		t.Errorf("the line cut to Loki's limit was taken %d times, want once", n)
	}
	if got := h.counts(t); got["delivered_items"] != 10 || got["loki_truncated_lines"] != 1 || got["loki_requests{400}"] != 1 {
		t.Errorf("counters: %v, want 10 delivered, 1 line cut, 1 answer 400", got)
	}
}

func TestMetadataLimitBelowTheDefault(t *testing.T) {
	loki := &faultyLoki{}
	loki.fault = func(_ int, w http.ResponseWriter, _ *http.Request, req *push.PushRequest) int {
		return loki.takeValid(w, req, func(e push.Entry) string {
			if len(e.StructuredMetadata) > 3 {
				return fmt.Sprintf("stream '%s' has too many structured metadata labels: '%d', limit: '3'. Please see …", req.Streams[0].Labels, len(e.StructuredMetadata))
			}
			return ""
		})
	}
	h := startExporter(t, loki.start(t))
	ld := logs(1, 16)
	for i := range 10 {
		ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(3).Attributes().PutInt(fmt.Sprintf("a%d", i), 1)
	}
	if err := h.ConsumeLogs(t.Context(), ld); err != nil {
		t.Fatal(err)
	}
	for i := range 16 {
		if loki.taken[lineOf(i)] == 0 {
			t.Errorf("line %d was not taken", i)
		}
	}
	if got := h.counts(t); got["delivered_items"] != 16 || got["loki_omitted_attributes"] != 10 {
		t.Errorf("counters: %v, want 16 delivered, 10 attributes left out", got)
	}
}

// takeValid does as Loki's distributor: it takes the entries that complaint has
// nothing against and answers 400 with the rest, or 204.
func (l *faultyLoki) takeValid(w http.ResponseWriter, req *push.PushRequest, complaint func(push.Entry) string) int {
	var complaints []string
	for i := range req.Streams {
		req.Streams[i].Entries = slices.DeleteFunc(req.Streams[i].Entries, func(e push.Entry) bool {
			text := complaint(e)
			if text != "" {
				complaints = append(complaints, text)
			}
			return text != ""
		})
	}
	if len(complaints) == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil {
		l.taken, l.tenants = make(map[string]int), make(map[string]int)
	}
	for _, s := range req.Streams {
		for _, e := range s.Entries {
			l.taken[e.Line]++
		}
	}
	return fail(w, http.StatusBadRequest, strings.Join(complaints, "; "))
}

// TestLokiHidesRefusals pins the reason for standing: a push of two streams, of
// which Loki refuses the first, is answered 204. When this fails, Loki tells,
// and streams need not be pushed alone any more.
func TestLokiHidesRefusals(t *testing.T) {
	l := stores.TestLoki(t, stores.Options{})
	x, err := newLogsExporter(testConfig(l.URL), exportertest.NewNopSettings(component.MustNewType("loki")))
	if err != nil {
		t.Fatal(err)
	}
	x.client = http.DefaultClient
	defer x.client.CloseIdleConnections()
	now := time.Now()
	pushTogether := func(age time.Duration) int {
		ld := plog.NewLogs()
		appendPod(ld, now, "a", line{fmt.Sprint(age), age})
		appendPod(ld, now, "b", line{fmt.Sprint(age), 0})
		g := newGrouper(x.rules, new(encoder), now)
		g.add(ld)
		var p piece
		p.lineBytes = maxLineBytes
		for _, l := range g.lanes(x.known, now) {
			for _, alone := range l.todo {
				p.runs = append(p.runs, alone.runs...)
			}
		}
		r, _ := x.encode(p)
		a, err := x.push(t.Context(), "", r.body)
		if err != nil {
			t.Fatal(err)
		}
		return a.code
	}
	if code := pushTogether(0); code != http.StatusNoContent {
		t.Fatalf("first push: status %d", code)
	}
	if code := pushTogether(2 * time.Hour); code != http.StatusNoContent {
		t.Errorf("Loki answers %d for a push with a refused stream; it used to hide that under 204", code)
	}
	wantLines(t, l, `{pod="a"}`, "0s")
	wantLines(t, l, `{pod="b"}`, "0s", "2h0m0s")
}
