package loki

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

const benchRecords = 8192

// benchLogs is what an agent sends: so many files with the identity that
// kubeattrs stamps, lines of 216 B, every fifth with a trace id.
func benchLogs(files int) plog.Logs {
	ld := plog.NewLogs()
	now, n := time.Now(), 0
	for f := range files {
		rl := ld.ResourceLogs().AppendEmpty()
		pod := fmt.Sprintf("checkout-6d5f7c9b8-%05d", f)
		for _, kv := range [][2]string{
			{"k8s.namespace.name", "shop"}, {"k8s.pod.name", pod}, {"k8s.pod.uid", fmt.Sprintf("0d9ba9a2-3a4b-4c5d-8e9f-%012d", f)},
			{"k8s.container.name", "server"}, {"k8s.cluster.name", "prod-eu-1"}, {"k8s.node.name", "ip-10-0-3-17.eu-west-1.compute.internal"},
			{"container.id", fmt.Sprintf("%064x", f)}, {"container.image.name", "images.example.com/shop/checkout"},
			{"k8s.deployment.name", "checkout"}, {"k8s.replicaset.name", "checkout-6d5f7c9b8"},
			{"service.name", "checkout"}, {"service.namespace", "shop"}, {"service.version", "1.42.0"}, {"service.instance.id", "shop." + pod + ".server"},
		} {
			rl.Resource().Attributes().PutStr(kv[0], kv[1])
		}
		rl.Resource().Attributes().PutInt("k8s.container.restart_count", 0)
		records := rl.ScopeLogs().AppendEmpty().LogRecords()
		for range benchRecords / files {
			r := records.AppendEmpty()
			r.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(n) * time.Microsecond)))
			r.SetObservedTimestamp(r.Timestamp())
			r.Body().SetStr(fmt.Sprintf(`{"ts":"2026-03-01T12:%02d:%02d.%06dZ","level":"info","msg":"request served","method":"GET","path":"/api/v1/cart/%08x/items","status":200,"duration_ms":%d.%03d,"remote":"10.0.%d.%d","user_agent":"okhttp/4.9"}`,
				n/60%60, n%60, n, uint32(n)*2654435761, n%97, n%1000, n%250, n%199))
			r.Attributes().PutStr("log.iostream", "stdout")
			if n%5 == 0 {
				r.SetTraceID(pcommon.TraceID{byte(n), byte(n >> 8), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, byte(n * 7)})
			}
			n++
		}
	}
	return ld
}

// BenchmarkEncode is the work of the exporter but for HTTP: records to
// compressed push requests.
func BenchmarkEncode(b *testing.B) {
	for _, files := range []int{1, 100} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			ld := benchLogs(files)
			rules, enc, known := testRules(defaults()), new(encoder), newStanding()
			raw, compressed, lines := 0, 0, ld.LogRecordCount()
			b.ReportAllocs()
			for b.Loop() {
				raw, compressed = 0, 0
				now := time.Now()
				g := newGrouper(rules, enc, now)
				g.add(ld)
				for _, s := range g.streams {
					known.known[s.key] = mark{acked: now}
				}
				for _, l := range g.lanes(known, now) {
					for _, p := range l.todo {
						for runs := p.runs; len(runs) > 0; {
							_, runs = enc.encode(runs, p.limits)
							raw += len(enc.buf)
							compressed += len(enc.compress())
						}
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/record")
			b.ReportMetric(float64(raw)/float64(lines), "B/record")
			b.ReportMetric(float64(compressed)/float64(lines), "wireB/record")
		})
	}
}

// BenchmarkConsumeLogs adds HTTP on loopback; the server's reading is in it.
func BenchmarkConsumeLogs(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	h := startExporter(b, testConfig(server.URL))
	ld := benchLogs(100)
	b.ReportAllocs()
	for b.Loop() {
		if err := h.ConsumeLogs(b.Context(), ld); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(ld.LogRecordCount()), "ns/record")
}
