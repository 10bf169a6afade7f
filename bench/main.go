package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang/snappy"
	"github.com/grafana/loki/pkg/push"

	"github.com/crowsnest-o11y/crowsnest/test/process"
)

func main() {
	files := flag.Int("files", 100, "log files, each a container's")
	lines := flag.Int("lines", 20000, "lines per file")
	bin := flag.String("bin", "bin", "folder of the two programs")
	flag.Parse()
	if err := run(context.Background(), *bin, *files, *lines); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// timeout bounds a run: a slower machine has something else wrong.
const timeout = 10 * time.Minute

func run(ctx context.Context, bin string, files, lines int) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "crowsnest-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := writeLogs(filepath.Join(dir, "pods"), files, lines); err != nil {
		return fmt.Errorf("write logs: %w", err)
	}
	sink, err := newLokiSink()
	if err != nil {
		return err
	}
	defer sink.close()
	ports, err := process.FreePorts(9)
	if err != nil {
		return err
	}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	env := func(first int, more ...string) []string {
		return append([]string{"GOMAXPROCS=1",
			"CROWSNEST_HEALTH_ENDPOINT=" + address(first), "CROWSNEST_ZPAGES_ENDPOINT=" + address(first+1), "CROWSNEST_PPROF_ENDPOINT=" + address(first+2),
			"CROWSNEST_METRICS_HOST=127.0.0.1", fmt.Sprintf("CROWSNEST_METRICS_PORT=%d", ports[first+3])}, more...)
	}
	aggregator, err := start(ctx, dir, bin, "aggregator", address(0), env(0, "CROWSNEST_OTLP_GRPC_ENDPOINT="+address(8), "CROWSNEST_LOKI_ENDPOINT=http://"+sink.address))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, aggregator.Stop()) }()
	began := time.Now()
	agent, err := start(ctx, dir, bin, "agent", address(4), env(4, "CROWSNEST_AGGREGATOR_ENDPOINT="+address(8), "CROWSNEST_POD_SOURCE=none",
		"CROWSNEST_POD_LOGS="+filepath.Join(dir, "pods"), "CROWSNEST_DATA_DIR="+filepath.Join(dir, "data")))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agent.Stop()) }()
	total := int64(files) * int64(lines)
	if err := sink.wait(ctx, total); err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Printf("%d files x %d lines of %d bytes, one core each, %.1f s by the clock\n\n", files, lines, lineBytes, took.Seconds())
	fmt.Printf("%-12s %14s %16s %10s\n", "", "CPU per line", "lines/s per core", "RSS")
	for _, p := range []struct {
		name string
		*process.Process
	}{{"agent", agent}, {"aggregator", aggregator}} {
		u, err := p.Usage()
		if err != nil {
			return err
		}
		perLine := u.CPU.Seconds() / float64(total)
		fmt.Printf("%-12s %11.2f µs %16.0f %6d MiB\n", p.name, perLine*1e6, 1/perLine, u.RSSBytes>>20)
	}
	return nil
}

func start(ctx context.Context, dir, bin, name, health string, env []string) (*process.Process, error) {
	return process.Start(ctx, process.Options{
		Name: name, Path: filepath.Join(bin, "crowsnest-"+name), Args: []string{"--config", "embedded:" + name + "/logs"},
		Env: env, LogPath: filepath.Join(dir, name+".log"),
		Ready: func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+health, nil)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		},
	})
}

// lineBytes is the length of a whole CRI line, as in the usual comparisons of
// log collectors.
const lineBytes = 216

// writeLogs fills lines up with hexadecimal noise: text that repeats would
// flatter the compression.
func writeLogs(dir string, files, lines int) error {
	now := time.Now().UTC().Add(-time.Minute)
	noise := rand.New(rand.NewPCG(1, 2))
	var digits [lineBytes]byte
	for f := range files {
		folder := filepath.Join(dir, fmt.Sprintf("bench_pod-%d_%08d-0000-4000-8000-000000000000", f, f), "app")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		var b strings.Builder
		for l := range lines {
			start := b.Len()
			fmt.Fprintf(&b, `%s stdout F {"level":"info","seq":%d,"pod":"pod-%d","msg":"request done","path":"/api/v1/items/%d","status":200,"dur_ms":%d,"pad":"`,
				now.Add(time.Duration(l)*time.Microsecond).Format("2006-01-02T15:04:05.000000000Z"), l, f, l%97, l%301)
			pad := digits[:max(0, lineBytes-3-(b.Len()-start))]
			for i := range pad {
				pad[i] = "0123456789abcdef"[noise.IntN(16)]
			}
			b.Write(pad)
			b.WriteString("\"}\n")
		}
		if err := os.WriteFile(filepath.Join(folder, "0.log"), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// lokiSink answers as Loki does and counts the entries.
type lokiSink struct {
	address string
	entries atomic.Int64
	server  http.Server
	serving sync.WaitGroup
}

func newLokiSink() (*lokiSink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &lokiSink{address: listener.Addr().String()}
	s.server.Handler = http.HandlerFunc(s.push)
	s.serving.Go(func() { _ = s.server.Serve(listener) }) // until close; what it cannot take is missing in wait
	return s, nil
}

func (s *lokiSink) push(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	raw, err := snappy.Decode(nil, body)
	var request push.PushRequest
	if err == nil {
		err = request.Unmarshal(raw)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, stream := range request.Streams {
		s.entries.Add(int64(len(stream.Entries)))
	}
	w.WriteHeader(http.StatusNoContent)
}

// wait returns when all lines have arrived at least once.
func (s *lokiSink) wait(ctx context.Context, total int64) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.entries.Load() < total {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d lines arrived: %w", s.entries.Load(), total, ctx.Err())
		case <-tick.C:
		}
	}
	if n := s.entries.Load(); n > total {
		return fmt.Errorf("%d lines arrived, %d were written", n, total)
	}
	return nil
}

func (s *lokiSink) close() {
	_ = s.server.Close()
	s.serving.Wait()
}
