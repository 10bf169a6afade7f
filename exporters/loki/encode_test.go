package loki

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

var testSeed = maphash.MakeSeed()

func testRules(c *Config) *rules {
	return newRules(c, func(b []byte) uint64 { return maphash.Bytes(testSeed, b) })
}

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// encodeAll encodes a batch as the exporter would for a Loki that knows no
// stream, and decodes it with Loki's own types.
func encodeAll(t testing.TB, cfg *Config, ld plog.Logs) (streams []push.Stream, total cuts) {
	t.Helper()
	enc := new(encoder)
	g := newGrouper(testRules(cfg), enc, testNow)
	g.add(ld)
	for _, l := range g.lanes(newStanding(), testNow) {
		for _, p := range l.todo {
			for runs := p.runs; len(runs) > 0; {
				var taken []run
				taken, runs = enc.encode(runs, p.limits)
				if entryCount(taken) == 0 {
					t.Fatal("encode took no entry")
				}
				total.add(enc.cuts)
				streams = append(streams, decode(t, enc)...)
			}
		}
	}
	return streams, total
}

// decode checks that the encoding is canonical and returns what Loki reads.
func decode(t testing.TB, enc *encoder) []push.Stream {
	t.Helper()
	raw, err := snappy.Decode(nil, enc.compress())
	if err != nil {
		t.Fatalf("decode snappy: %v", err)
	}
	var req push.PushRequest
	if err := req.Unmarshal(raw); err != nil {
		t.Fatalf("unmarshal push request: %v", err)
	}
	again, err := req.Marshal()
	if err != nil {
		t.Fatalf("marshal push request: %v", err)
	}
	if !bytes.Equal(again, raw) {
		t.Fatalf("not the canonical encoding:\n got %x\nwant %x", raw, again)
	}
	return req.Streams
}

func defaults() *Config { return createDefaultConfig().(*Config) }

func metadata(e push.Entry) map[string]string {
	m := make(map[string]string)
	for _, p := range e.StructuredMetadata {
		if _, ok := m[p.Name]; ok {
			m[p.Name] = "twice"
			continue
		}
		m[p.Name] = p.Value
	}
	return m
}

func TestEncodeRecord(t *testing.T) {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	for k, v := range map[string]string{
		"k8s.namespace.name": "shop", "k8s.pod.name": "cart-1", "k8s.container.name": "app",
		"service.name": `ca"rt\` + "\n", "k8s.pod.uid": "u-1", "k8s.node.name": "",
	} {
		rl.Resource().Attributes().PutStr(k, v)
	}
	rl.Resource().Attributes().PutInt("k8s.container.restart_count", 3)
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("lib")
	sl.Scope().SetVersion("1.2")
	r := sl.LogRecords().AppendEmpty()
	r.SetTimestamp(1_700_000_000_000_000_123)
	r.SetObservedTimestamp(1)
	r.Body().SetStr("hello")
	r.SetTraceID(pcommon.TraceID{1, 2, 0xab})
	r.SetSpanID(pcommon.SpanID{0xcd})
	r.SetSeverityText("WARN")
	r.SetSeverityNumber(plog.SeverityNumberWarn)
	r.SetEventName("login")
	r.Attributes().PutStr("log.iostream", "stderr")
	r.Attributes().PutStr("http.method", "GET")
	r.Attributes().PutStr("http-method", "second of its name")
	r.Attributes().PutStr("k8s.pod.uid", "pretended")
	r.Attributes().PutBool("ok", true)
	r.Attributes().PutDouble("ratio", 0.5)
	r.Attributes().PutEmptyMap("user").PutStr("id", "7")
	r.Attributes().PutEmptySlice("tags").AppendEmpty().SetStr("a")
	r.Attributes().PutStr("...", "nameless")
	r.Attributes().PutStr("", "nameless too")
	r.Attributes().PutStr("9lives", "cat\xff")

	streams, cut := encodeAll(t, defaults(), ld)
	if len(streams) != 1 || len(streams[0].Entries) != 1 {
		t.Fatalf("got %d streams, want one with one entry", len(streams))
	}
	wantLabels := `{container="app", namespace="shop", pod="cart-1", service_name="ca\"rt\\\n", stream="stderr"}`
	if got := streams[0].Labels; got != wantLabels {
		t.Errorf("labels:\n got %s\nwant %s", got, wantLabels)
	}
	e := streams[0].Entries[0]
	if e.Line != "hello" || e.Timestamp.UnixNano() != 1_700_000_000_000_000_123 {
		t.Errorf("got line %q at %d", e.Line, e.Timestamp.UnixNano())
	}
	want := map[string]string{
		"k8s_pod_uid": "u-1", "k8s_container_restart_count": "3", "scope_name": "lib", "scope_version": "1.2",
		"trace_id": "0102ab00000000000000000000000000", "span_id": "cd00000000000000",
		"severity": "WARN", "severity_number": "13", "event_name": "login",
		"http_method": "GET", "ok": "true", "ratio": "0.5", "user": `{"id":"7"}`, "tags": `["a"]`,
		"key_": "nameless", "key_9lives": "cat?",
	}
	if diff := cmp.Diff(want, metadata(e)); diff != "" {
		t.Errorf("structured metadata (-want +got):\n%s", diff)
	}
	if want := (cuts{attributes: 3}); cut != want {
		t.Errorf("cuts: got %+v, want %+v (http-method, k8s.pod.uid, empty name)", cut, want)
	}
}

func TestEncodeBodyAndTime(t *testing.T) {
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	records.AppendEmpty() // no body, no time
	r := records.AppendEmpty()
	r.SetObservedTimestamp(pcommon.Timestamp(testNow.Add(time.Second).UnixNano()))
	r.Body().SetEmptyMap().PutInt("n", 1)
	r = records.AppendEmpty()
	r.SetTimestamp(1<<64 - 1) // after 2262: Loki's nanoseconds overflow
	r.Body().SetInt(42)

	streams, _ := encodeAll(t, defaults(), ld)
	type line struct {
		Text string
		Time time.Time
	}
	var got []line
	for _, e := range streams[0].Entries {
		got = append(got, line{e.Line, e.Timestamp.UTC()})
	}
	want := []line{{"", testNow}, {"42", testNow}, {`{"n":1}`, testNow.Add(time.Second)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if got, want := streams[0].Labels, `{service_name="unknown_service"}`; got != want {
		t.Errorf("labels of a record without any: got %s, want %s", got, want)
	}
}

func TestEncodeGroupsStreamsAcrossResources(t *testing.T) {
	ld := plog.NewLogs()
	for i := range 6 {
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("k8s.pod.name", fmt.Sprintf("pod-%d", i%2))
		for j := range 4 {
			r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
			r.SetTimestamp(pcommon.Timestamp(testNow.UnixNano() + int64(100-10*i)))
			r.Body().SetStr(fmt.Sprintf("%d/%d", i, j))
			r.Attributes().PutStr("log.iostream", []string{"stdout", "stderr"}[j%2])
		}
	}
	streams, _ := encodeAll(t, defaults(), ld)
	got := make(map[string]string)
	for _, s := range streams {
		for _, e := range s.Entries {
			got[s.Labels] += e.Line + " "
		}
	}
	want := map[string]string{ // newest time first in the batch, so sorted; equal times in order
		`{pod="pod-0", stream="stdout"}`: "4/0 4/2 2/0 2/2 0/0 0/2 ",
		`{pod="pod-0", stream="stderr"}`: "4/1 4/3 2/1 2/3 0/1 0/3 ",
		`{pod="pod-1", stream="stdout"}`: "5/0 5/2 3/0 3/2 1/0 1/2 ",
		`{pod="pod-1", stream="stderr"}`: "5/1 5/3 3/1 3/3 1/1 1/3 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
}

func TestEncodeKeepsLimits(t *testing.T) {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("k8s.pod.name", strings.Repeat("é", 2000))
	for i := range 200 {
		rl.Resource().Attributes().PutStr(fmt.Sprintf("r%d", i), strings.Repeat("v", 1000))
	}
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for range 40 {
		r := records.AppendEmpty()
		r.Body().SetStr(strings.Repeat("é", maxLineBytes/2) + "x")
		r.SetTraceID(pcommon.TraceID{1})
		for i := range 200 {
			r.Attributes().PutStr(fmt.Sprintf("a%d", i), strings.Repeat("v", i*10))
		}
	}
	enc := new(encoder)
	g := newGrouper(testRules(defaults()), enc, testNow)
	g.add(ld)
	lanes := g.lanes(newStanding(), testNow)
	seen, requests := 0, 0
	for runs := lanes[0].todo[0].runs; len(runs) > 0; requests++ {
		var taken []run
		taken, runs = enc.encode(runs, limits{lineBytes: maxLineBytes})
		if len(enc.buf) > maxRequestBytes {
			t.Fatalf("request of %d bytes, bound %d", len(enc.buf), maxRequestBytes)
		}
		seen += entryCount(taken)
		for _, s := range decode(t, enc) {
			checkLimits(t, s)
		}
	}
	if seen != 40 || requests < 3 {
		t.Errorf("%d entries in %d requests, want 40 in 3 or more", seen, requests)
	}
}

func checkLimits(t *testing.T, s push.Stream) {
	t.Helper()
	if len(s.Labels) > 2100 || !utf8.ValidString(s.Labels) {
		t.Errorf("labels of %d bytes", len(s.Labels))
	}
	for _, e := range s.Entries {
		if len(e.Line) > maxLineBytes || !utf8.ValidString(e.Line) || len(e.Line) < maxLineBytes-utf8.UTFMax {
			t.Fatalf("line of %d bytes, valid %t", len(e.Line), utf8.ValidString(e.Line))
		}
		size := 0
		for _, p := range e.StructuredMetadata {
			size += len(p.Name) + len(p.Value)
		}
		if size > maxMetadataBytes || len(e.StructuredMetadata) > maxMetadataEntries {
			t.Fatalf("%d bytes in %d pairs of metadata", size, len(e.StructuredMetadata))
		}
		m := metadata(e)
		if m["truncated"] != "true" || m["trace_id"] == "" || m["a1"] == "" {
			t.Fatalf("the record's own metadata had no room")
		}
	}
}

func TestTenantByNamespace(t *testing.T) {
	cfg := defaults()
	cfg.Tenant = "main"
	cfg.Tenants = map[string]string{"pay": "finance"}
	ld := plog.NewLogs()
	for _, ns := range []string{"pay", "shop", ""} {
		rl := ld.ResourceLogs().AppendEmpty()
		if ns != "" {
			rl.Resource().Attributes().PutStr("k8s.namespace.name", ns)
		}
		rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr(ns)
	}
	g := newGrouper(testRules(cfg), new(encoder), testNow)
	g.add(ld)
	got := make(map[string]int)
	for _, l := range g.lanes(newStanding(), testNow) {
		for _, p := range l.todo {
			got[l.tenant] += p.len()
		}
	}
	if diff := cmp.Diff(map[string]int{"finance": 1, "main": 2}, got); diff != "" {
		t.Errorf("records by tenant (-want +got):\n%s", diff)
	}
}

func TestEndMessageMovesContent(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16383, 16384, 1<<21 - 1, 1 << 21} {
		for width := 1; width <= 4; width++ {
			b, start := beginMessage([]byte("x"), 0x0a, width)
			b = append(b, bytes.Repeat([]byte{7}, size)...)
			b = endMessage(b, start, width)
			n, w := binary.Uvarint(b[2:])
			if int(n) != size || w != varintLen(n) || len(b) != 2+w+size || bytes.Count(b[2+w:], []byte{7}) != size {
				t.Fatalf("size %d width %d: length %d in %d bytes, message of %d", size, width, n, w, len(b))
			}
		}
	}
}

// FuzzEncode feeds arbitrary OTLP and demands that Loki's own types read the
// same streams from every request, within the limits, no record lost.
func FuzzEncode(f *testing.F) {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("k8s.pod.name", "p")
	rl.Resource().Attributes().PutStr("a..b", "\xff")
	r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	r.Body().SetStr("line")
	r.SetTimestamp(5)
	r.Attributes().PutStr("log.iostream", "stdout")
	r.Attributes().PutEmptyMap("m").PutEmptyBytes("b").FromRaw([]byte{1, 2})
	seed, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(data)
		if err != nil {
			return
		}
		streams, _ := encodeAll(t, defaults(), ld)
		n := 0
		for _, s := range streams {
			n += len(s.Entries)
			for _, e := range s.Entries {
				for name, value := range metadata(e) {
					if value == "twice" || !utf8.ValidString(value) || name == "" {
						t.Fatalf("metadata %q = %q", name, value)
					}
				}
			}
		}
		if n != ld.LogRecordCount() {
			t.Fatalf("%d entries of %d records", n, ld.LogRecordCount())
		}
	})
}
