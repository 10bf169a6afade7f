package containerlogs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// benchLine is a line of the captured workload, 216 bytes of content.
const benchLine = `2026-11-23T04:57:52.833242197Z stdout F {"ts":"2026-11-23T04:57:52.832964111Z","level":"warn","seq":2548,"pod":"chatty-6ffcf749f9-7bgp2","trace_id":"000000000000000000000626c02735b4","msg":"request done","path":"/api/v1/items/26","status":200,"dur_ms":48}` + "\n"

func BenchmarkParseCRI(b *testing.B) {
	var c clock
	line := strings.TrimSuffix(benchLine, "\n")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, fault := c.parseLine(line); fault != "" {
			b.Fatal(fault)
		}
	}
}

func BenchmarkParseDocker(b *testing.B) {
	var c clock
	line := `{"log":"` + strings.Repeat("x", 180) + `\n","stream":"stdout","time":"2026-11-23T04:57:52.833242197Z"}`
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, fault := c.parseLine(line); fault != "" {
			b.Fatal(fault)
		}
	}
}

// BenchmarkChunk is the work on one chunk: scan, parse and plog.
func BenchmarkChunk(b *testing.B) {
	n := chunkBytes / len(benchLine)
	chunk := []byte(strings.Repeat(benchLine, n))
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	r := lineReader{maxBytes: maxLineBytes, state: &lineState{}}
	for b.Loop() {
		r.records = plog.NewLogRecordSlice()
		if used := r.read(chunk, position{}, false); used != len(chunk) {
			b.Fatal(used)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkReceiver reads 100 files from the first byte to the last
// acknowledgement.
func BenchmarkReceiver(b *testing.B) {
	const files, perFile = 100, 5000
	root := b.TempDir()
	for i := range files {
		dir := filepath.Join(root, fmt.Sprintf("shop_web-%d_uid-%d", i, i), "web")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "0.log"), []byte(strings.Repeat(benchLine, perFile)), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(files * perFile * len(benchLine)))
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, root, files*perFile)
	}
	b.ReportMetric(float64(b.N*files*perFile)/b.Elapsed().Seconds(), "lines/s")
}

func readAll(b *testing.B, root string, want int) {
	var n atomic.Int64
	done := make(chan struct{})
	next, err := consumer.NewLogs(func(_ context.Context, ld plog.Logs) error {
		if n.Add(int64(ld.LogRecordCount())) == int64(want) {
			close(done)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	cfg := createDefaultConfig().(*Config)
	cfg.Root, cfg.Directory = root, ""
	r, err := newLogsReceiver(receivertest.NewNopSettings(Type), cfg, next)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		b.Fatal(err)
	}
	<-done
	if err := r.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
}
