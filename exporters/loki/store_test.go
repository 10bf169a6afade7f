package loki

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// line is one record of a test, of the pod that the test names.
type line struct {
	text string
	age  time.Duration // before now
}

func podLogs(now time.Time, pod string, lines ...line) plog.Logs {
	ld := plog.NewLogs()
	appendPod(ld, now, pod, lines...)
	return ld
}

func appendPod(ld plog.Logs, now time.Time, pod string, lines ...line) {
	rl := ld.ResourceLogs().AppendEmpty()
	a := rl.Resource().Attributes()
	a.PutStr("k8s.namespace.name", "shop")
	a.PutStr("k8s.pod.name", pod)
	a.PutStr("k8s.pod.uid", "uid-"+pod)
	a.PutStr("service.name", "cart")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for _, l := range lines {
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(-l.age)))
		r.Body().SetStr(l.text)
		r.Attributes().PutStr("log.iostream", "stdout")
	}
}

// stored reads a pod's lines in Loki, oldest first.
func stored(t *testing.T, l *stores.Loki, query string) []stores.Entry {
	t.Helper()
	var all []stores.Entry
	now := time.Now()
	err := l.Each(t.Context(), query, now.Add(-29*24*time.Hour), now.Add(time.Hour), func(e stores.Entry) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantLines(t *testing.T, l *stores.Loki, query string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range stored(t, l, query) {
		got = append(got, e.Line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines of %s (-want +got):\n%s", query, diff)
	}
}

// flush makes Loki write its chunks: it answers queries for times more than
// three hours ago from the chunk store only (query_ingesters_within).
func flush(t *testing.T, l *stores.Loki) {
	t.Helper()
	resp, err := http.Post(l.URL+"/flush", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("flush Loki: status %d", resp.StatusCode)
	}
}

// wantLinesFlushed is wantLines for old lines. A flush goes on after its answer
// and has no end to wait for but the lines themselves.
func wantLinesFlushed(t *testing.T, l *stores.Loki, query string, want ...string) {
	t.Helper()
	flush(t, l)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-ticker.C {
		if len(stored(t, l, query)) >= len(want) {
			break
		}
	}
	wantLines(t, l, query, want...)
}

func consume(t *testing.T, h *harness, ld plog.Logs) {
	t.Helper()
	if err := h.ConsumeLogs(t.Context(), ld); err != nil {
		t.Fatal(err)
	}
}

// TestRealLoki shares one Loki among tests that differ in their pods.
func TestRealLoki(t *testing.T) {
	l := stores.TestLoki(t, stores.Options{})
	for name, test := range map[string]func(*testing.T, *stores.Loki){
		"lines, labels and metadata":       testRoundTrip,
		"many lines of many streams":       testManyLines,
		"repeated batch":                   testRepeatedBatch,
		"too far behind among others":      testTooFarBehind,
		"hidden refusal":                   testHiddenRefusal,
		"backlog in a stream of its own":   testBacklog,
		"old file read for the first time": testOldFile,
		"too new":                          testTooNew,
		"long line and odd names":          testHostileRecords,
		"loki away for a while":            testRestart,
	} {
		t.Run(name, func(t *testing.T) { test(t, l) })
	}
}

func testRoundTrip(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	now := time.Now()
	ld := podLogs(now, "round", line{`say "hi" \ ` + "\ttab é", time.Second}, line{"", 0})
	r := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	r.SetTraceID(pcommon.TraceID{0xab, 15: 1})
	r.SetSpanID(pcommon.SpanID{0xcd, 7: 1})
	r.SetSeverityText("ERROR")
	r.SetSeverityNumber(plog.SeverityNumberError)
	consume(t, h, ld)

	all := stored(t, l, `{namespace="shop", pod="round", stream="stdout"}`)
	if len(all) != 2 || all[1].Line != "" {
		t.Fatalf("got %d lines, want 2, the second empty", len(all))
	}
	e := all[0]
	if want := "say \"hi\" \\ \ttab é"; e.Line != want || e.Timestamp.UnixNano() != now.Add(-time.Second).UnixNano() {
		t.Errorf("got %q at %s, want %q at %s", e.Line, e.Timestamp, want, now.Add(-time.Second))
	}
	labels := map[string]string{"namespace": "shop", "pod": "round", "service_name": "cart", "stream": "stdout"}
	if diff := cmp.Diff(labels, e.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	delete(e.Metadata, "detected_level") // Loki's own
	metadata := map[string]string{
		"k8s_pod_uid": "uid-round", "severity": "ERROR", "severity_number": "17",
		"trace_id": "ab000000000000000000000000000001", "span_id": "cd00000000000001",
	}
	if diff := cmp.Diff(metadata, e.Metadata); diff != "" {
		t.Errorf("structured metadata (-want +got):\n%s", diff)
	}
	wantLines(t, l, `{namespace="shop"} | trace_id="ab000000000000000000000000000001"`, e.Line)
	wantLines(t, l, `{namespace="shop"} | k8s_pod_uid="uid-round" | severity="ERROR"`, e.Line)
}

func testManyLines(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	const pods, batches, perBatch = 20, 10, 50
	now := time.Now().Add(-time.Minute)
	for b := range batches {
		ld := plog.NewLogs()
		for p := range pods {
			var lines []line
			for i := range perBatch {
				n := b*perBatch + i
				lines = append(lines, line{fmt.Sprintf("%s %d", strings.Repeat("x", 200), n), -time.Duration(n) * time.Microsecond})
			}
			appendPod(ld, now, fmt.Sprintf("many-%d", p), lines...)
		}
		consume(t, h, ld)
	}
	seen := make(map[string]int)
	for _, e := range stored(t, l, `{pod=~"many-.*"}`) {
		seen[e.Labels["pod"]+e.Line[200:]]++
	}
	for p := range pods {
		for n := range batches * perBatch {
			if got := seen[fmt.Sprintf("many-%d %d", p, n)]; got != 1 {
				t.Fatalf("line %d of pod %d is there %d times", n, p, got)
			}
		}
	}
	// Twenty unknown streams alone, then one push for each batch.
	h.wantCounts(t, map[string]int64{"delivered_items": pods * batches * perBatch, "loki_requests{204}": pods + batches - 1})
}

func testRepeatedBatch(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	now := time.Now()
	for range 3 {
		consume(t, h, podLogs(now, "again", line{"one", 3}, line{"two", 2}, line{"zwei", 2}, line{"three", 1}))
	}
	wantLines(t, l, `{pod="again"}`, "one", "two", "zwei", "three")
	// What documentation says: equal text at an equal nanosecond is one line.
	consume(t, h, podLogs(now, "twins", line{"same", 0}, line{"same", 0}))
	wantLines(t, l, `{pod="twins"}`, "same")
}

// testTooFarBehind: half of a batch is refused, the others arrive, and it does
// not take a push for each refused line.
func testTooFarBehind(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	now := time.Now()
	consume(t, h, podLogs(now, "behind", line{"newest", 0}))
	ld := plog.NewLogs()
	var lines []line
	var want []string
	for i := range 1000 {
		lines = append(lines, line{fmt.Sprintf("behind %d", i), 3*time.Hour - time.Duration(i)*time.Second})
	}
	for i := range 1000 {
		lines = append(lines, line{fmt.Sprintf("good %d", i), 50*time.Minute - time.Duration(i)*time.Second})
		want = append(want, fmt.Sprintf("good %d", i))
	}
	appendPod(ld, now, "neighbour", line{"fine", 0})
	appendPod(ld, now, "behind", lines...)
	consume(t, h, ld)
	wantLines(t, l, `{pod="behind"}`, append(want, "newest")...)
	wantLines(t, l, `{pod="neighbour"}`, "fine")
	h.wantCounts(t, map[string]int64{
		"delivered_items": 1002, "dropped_items{too_far_behind}": 1000,
		"loki_requests{204}": 3, "loki_requests{400}": 1,
	})
}

// testHiddenRefusal shows why streams are pushed alone: Loki answers 204 for a
// stream that it refused if another one follows in the push.
func testHiddenRefusal(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	now := time.Now()
	ld := plog.NewLogs()
	appendPod(ld, now, "hidden-a", line{"newest", 0})
	appendPod(ld, now, "hidden-b", line{"newest", 0})
	consume(t, h, ld)
	before := h.counts(t)

	ld = plog.NewLogs()
	appendPod(ld, now, "hidden-a", line{"lost", 2 * time.Hour})
	appendPod(ld, now, "hidden-b", line{"next", -time.Millisecond})
	consume(t, h, ld)
	got := h.counts(t)
	if n := got["dropped_items{too_far_behind}"]; n != 1 {
		t.Errorf("%d records counted as too far behind, want 1: the refusal went unseen", n)
	}
	if n := got["delivered_items"] - before["delivered_items"]; n != 1 {
		t.Errorf("%d records counted as delivered, want 1", n)
	}
	wantLines(t, l, `{pod="hidden-a"}`, "newest")
	wantLines(t, l, `{pod="hidden-b"}`, "newest", "next")
}

// testBacklog: after an hour's outage a pod's stream goes on where it stopped,
// beside pods that are up to date.
func testBacklog(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	now := time.Now()
	ld := plog.NewLogs()
	var want []string
	var lines []line
	for i := range 100 {
		lines = append(lines, line{fmt.Sprintf("%d", i), 5*time.Hour - time.Duration(i)*3*time.Minute})
		want = append(want, fmt.Sprintf("%d", i))
	}
	appendPod(ld, now, "late", lines...)
	appendPod(ld, now, "current", line{"now", 0})
	consume(t, h, ld)
	consume(t, h, podLogs(now, "late", line{"100", 0}))
	wantLinesFlushed(t, l, `{pod="late"}`, append(want, "100")...)
	wantLines(t, l, `{pod="current"}`, "now")
	h.wantCounts(t, map[string]int64{"delivered_items": 102, "loki_requests{204}": 3})
}

// testOldFile: of a quiet pod's file, what is older than a week is refused by
// the distributor and the rest delivered, although pushing the rest once more
// makes Loki call a part of it too far behind.
func testOldFile(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	now := time.Now()
	var lines []line
	for day := 20; day >= 0; day-- {
		lines = append(lines, line{fmt.Sprintf("day %d", day), time.Duration(day)*24*time.Hour + time.Minute})
	}
	consume(t, h, podLogs(now, "quiet", lines...))
	wantLinesFlushed(t, l, `{pod="quiet"}`, "day 6", "day 5", "day 4", "day 3", "day 2", "day 1", "day 0")
	got := h.counts(t)
	if got["dropped_items{greater_than_max_sample_age}"] != 14 || got["delivered_items"] != 7 || got["dropped_items{too_far_behind}"] != 0 {
		t.Errorf("counters: %v, want 14 dropped as greater_than_max_sample_age, 7 delivered", got)
	}
}

func testTooNew(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	consume(t, h, podLogs(time.Now(), "ahead", line{"good", 0}, line{"from the future", -2 * time.Hour}, line{"too", -3 * time.Hour}))
	wantLines(t, l, `{pod="ahead"}`, "good")
	h.wantCounts(t, map[string]int64{
		"delivered_items": 1, "dropped_items{too_far_in_future}": 2,
		"loki_requests{204}": 1, "loki_requests{400}": 1,
	})
}

func testHostileRecords(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	ld := podLogs(time.Now(), "hostile", line{strings.Repeat("é", 200_000), 2}, line{"odd", 1})
	a := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(1).Attributes()
	for _, name := range []string{"", ".", "_", "__", "____", "9", "a.b", "a_b", "a:b", "é", "\xff", "level"} {
		a.PutStr(name, "v\xff\x00\"")
	}
	for i := range 200 {
		a.PutStr(fmt.Sprintf("many.%d", i), strings.Repeat("w", 400))
	}
	ld.ResourceLogs().At(0).Resource().Attributes().PutStr("service.name", "quote\" \\ \x00 \xff "+strings.Repeat("é", 3000))
	consume(t, h, ld)
	all := stored(t, l, `{pod="hostile"}`)
	if len(all) != 2 || all[1].Line != "odd" {
		t.Fatalf("got %d lines, want 2", len(all))
	}
	if e := all[0]; e.Line != strings.Repeat("é", maxLineBytes/2) || e.Metadata["truncated"] != "true" {
		t.Errorf("long line: got %d bytes, truncated %q", len(e.Line), e.Metadata["truncated"])
	}
	if got := h.counts(t); got["delivered_items"] != 2 || got["loki_truncated_lines"] != 1 || got["loki_omitted_attributes"] < 50 {
		t.Errorf("counters: %v, want 2 delivered, 1 line cut, attributes left out", got)
	}
}

// testRestart kills Loki while logs flow: nothing is lost, nothing there twice.
func testRestart(t *testing.T, l *stores.Loki) {
	h := startExporter(t, testConfig(l.URL))
	const batches, perBatch = 60, 50
	now := time.Now().Add(-time.Minute)
	var want []string
	flowing, killed, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	for n := range batches * perBatch {
		want = append(want, fmt.Sprintf("line %d", n))
	}
	go func() {
		for b := range batches {
			switch b {
			case batches / 3:
				close(flowing)
			case 2 * batches / 3:
				<-killed // so that Loki is away for the rest even if it dies slowly
			}
			var lines []line
			for i := range perBatch {
				n := b*perBatch + i
				lines = append(lines, line{want[n], -time.Duration(n) * time.Microsecond})
			}
			if err := h.ConsumeLogs(t.Context(), podLogs(now, "restart", lines...)); err != nil {
				done <- fmt.Errorf("batch %d: %w", b, err)
				return
			}
		}
		done <- nil
	}()
	select {
	case <-flowing:
	case err := <-done:
		t.Fatal(err)
	}
	if err := l.Kill(); err != nil {
		t.Fatal(err)
	}
	close(killed)
	if err := l.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantLines(t, l, `{pod="restart"}`, want...)
	if got := h.counts(t); got["delivered_items"] != batches*perBatch || got["loki_retries"] == 0 {
		t.Errorf("counters: %v, want %d delivered after retries", got, batches*perBatch)
	}
}
