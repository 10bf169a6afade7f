package loki

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// oracleEntry is the input of test/lokioracle.
type oracleEntry struct {
	Labels    map[string]string
	Timestamp int64
	Line      string
	Metadata  map[string]string
}

// TestLokiClientGoStoresTheSame pushes the same entries through Grafana's own
// client and through the exporter, each into a Loki of its own, and compares
// what the two hold: labels, times, lines and structured metadata.
func TestLokiClientGoStoresTheSame(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lokioracle")
	if out, err := exec.Command("go", "build", "-C", "../../test/lokioracle", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build oracle: %v\n%s", err, out)
	}
	theirs := stores.TestLoki(t, stores.Options{})
	ours := stores.TestLoki(t, stores.Options{})
	ld, entries := oracleInput(time.Now().Add(-time.Minute))

	var in bytes.Buffer
	for _, e := range entries {
		if err := json.NewEncoder(&in).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	oracle := exec.Command(program, "-url", theirs.URL+pushPath)
	oracle.Stdin = &in
	if out, err := oracle.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("oracle: %v\n%s", err, out)
	}
	h := startExporter(t, testConfig(ours.URL))
	consume(t, h, ld)

	want, got := stored(t, theirs, `{service_name=~".+"}`), stored(t, ours, `{service_name=~".+"}`)
	if len(want) != len(entries) {
		t.Fatalf("the oracle stored %d of %d entries", len(want), len(entries))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored entries (-loki-client-go +exporter):\n%s", diff)
	}
}

// oracleInput makes the same entries twice: as the exporter's input, and as
// labels and metadata with OpenTelemetry's names, which Loki translates itself.
func oracleInput(start time.Time) (plog.Logs, []oracleEntry) {
	texts := []string{"plain", "", `{"json": "a\"b\\c"}`, "tab\there", "two\nlines", "日本語 é 🦀", `\x00 "quoted"`, "\u0001\u007f"}
	ld := plog.NewLogs()
	var entries []oracleEntry
	for s := range 24 {
		rl := ld.ResourceLogs().AppendEmpty()
		resource := map[string]string{"k8s.namespace.name": texts[2], "k8s.pod.name": fmt.Sprintf("pod-%d", s/2), "k8s.container.name": texts[5]}
		uid := fmt.Sprintf("uid-%d", s/2)
		for k, v := range resource {
			rl.Resource().Attributes().PutStr(k, v)
		}
		rl.Resource().Attributes().PutStr("k8s.pod.uid", uid)
		rl.Resource().Attributes().PutStr("service.name", `sh"op\`)
		records := rl.ScopeLogs().AppendEmpty().LogRecords()
		for i := range 40 {
			e := oracleEntry{
				Labels: map[string]string{
					"namespace": texts[2], "pod": resource["k8s.pod.name"], "container": texts[5],
					"service_name": `sh"op\`, "stream": []string{"stdout", "stderr"}[s%2],
				},
				Timestamp: start.UnixNano() + int64(s*1_000_000+i*1_000),
				Line:      fmt.Sprintf("%s %d/%d", texts[i%len(texts)], s, i),
				Metadata:  map[string]string{"k8s.pod.uid": uid, "http.request.header.x-id": texts[(i+2)%len(texts)]},
			}
			r := records.AppendEmpty()
			r.SetTimestamp(pcommon.Timestamp(e.Timestamp))
			r.Body().SetStr(e.Line)
			r.Attributes().PutStr("log.iostream", e.Labels["stream"])
			r.Attributes().PutStr("http.request.header.x-id", e.Metadata["http.request.header.x-id"])
			if e.Metadata["http.request.header.x-id"] == "" {
				delete(e.Metadata, "http.request.header.x-id") // an empty value is none to us
			}
			if i%3 == 0 {
				r.SetTraceID(pcommon.TraceID{byte(s), byte(i), 15: 9})
				e.Metadata["trace_id"] = r.TraceID().String()
			}
			entries = append(entries, e)
		}
	}
	return ld, entries
}
