package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/process"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// asProgram in the environment makes the test's own executable the workload.
const asProgram = "CROWSNEST_TEST_AS_WORKLOAD"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// streams gives each stream's highest number, after checking that none is missing.
func streams(t *testing.T, output []byte) map[string]uint64 {
	t.Helper()
	seen := nodesim.NewSeen()
	last := map[string]uint64{}
	for line := range bytes.Lines(output) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		seen.Line(line)
		stream, seq, err := nodesim.ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		last[stream] = max(last[stream], seq)
	}
	for stream, seq := range last {
		if missing := seen.Missing(stream, seq); missing != nil || seen.Repeated[stream] != 0 {
			t.Errorf("%s: missing %v, repeated %d", stream, missing, seen.Repeated[stream])
		}
	}
	return last
}

func TestLinesAreAccountedForAndTheExitIsAsAskedFor(t *testing.T) {
	out, err := command(t, "log", "-lines", "200", "-rate", "10000", "-long-every", "50", "-exit", "3").Output()
	var exited *exec.ExitError
	if !errors.As(err, &exited) || exited.ExitCode() != 3 {
		t.Errorf("ends with %v; want exit code 3", err)
	}
	if got := streams(t, out); len(got) != 1 {
		t.Errorf("streams %v; want one", got)
	}
	long := 0
	for line := range bytes.Lines(out) {
		if len(line) > longLineBytes {
			long++
		}
	}
	if lines := bytes.Count(out, []byte("\n")); lines != 200 || long != 4 {
		t.Errorf("%d lines, %d of them long; want 200 and 4", lines, long)
	}
}

func TestEveryRunIsAStreamOfItsOwn(t *testing.T) {
	var all []byte
	for range 2 {
		out, err := command(t, "log", "-lines", "3", "-rate", "10000", "-exit", "0").Output()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out...)
	}
	if got := streams(t, all); len(got) != 2 {
		t.Errorf("two runs have the streams %v", got)
	}
}

func TestWrongCommandLineIsExitCode2(t *testing.T) {
	for _, args := range [][]string{nil, {"dance"}, {"log", "-no-such-flag"}} {
		err := command(t, args...).Run()
		var exited *exec.ExitError
		if !errors.As(err, &exited) || exited.ExitCode() != 2 {
			t.Errorf("%v ends with %v; want exit code 2", args, err)
		}
	}
}

func TestReadinessIsAsTold(t *testing.T) {
	server := httptest.NewServer(readiness(false))
	defer server.Close()
	ask := func(method string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/ready", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	got := []int{ask(http.MethodGet), ask(http.MethodPut), ask(http.MethodGet), ask(http.MethodDelete), ask(http.MethodGet)}
	if want := []int{503, 200, 200, 200, 503}; !slices.Equal(got, want) {
		t.Errorf("GET PUT GET DELETE GET answer %v; want %v", got, want)
	}
}

func TestVolumeHasWhatIsLogged(t *testing.T) {
	dir := t.TempDir()
	cmd := command(t, "volume", "-dir", dir, "-rate", "1000")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "lines")
	waitFor(t, func() bool {
		b, err := os.ReadFile(path)
		return err == nil && bytes.Count(b, []byte("\n")) >= 20
	})
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(stored, out.Bytes()) {
		t.Errorf("volume has %d bytes, %v; logged were %d", len(stored), err, out.Len())
	}
	streams(t, stored)
}

func TestVolumeIsBounded(t *testing.T) {
	f, err := openBounded(filepath.Join(t.TempDir(), "lines"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := make([]byte, volumeBytes/3)
	for range 4 {
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
		if info, err := f.Stat(); err != nil || info.Size() > volumeBytes {
			t.Fatalf("file has %d bytes, %v; want at most %d", info.Size(), err, volumeBytes)
		}
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !done() {
		if err := sleepUntil(ctx, time.Now().Add(20*time.Millisecond)); err != nil {
			t.Fatal("waited for a minute")
		}
	}
}

// link is a running service of the chain.
type link struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func startLink(t *testing.T, name, listen, next, interval, protocol, endpoint string) *link {
	t.Helper()
	l := &link{cmd: command(t, "chain", "-listen", listen, "-next", next, "-interval", interval)}
	l.cmd.Env = append(l.cmd.Env, "OTEL_SERVICE_NAME="+name, "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+endpoint)
	l.cmd.Stdout, l.cmd.Stderr = &l.out, os.Stderr
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		c, err := net.Dial("tcp", listen)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return l
}

// stop lets it send what it has traced and returns the trace ids of its lines.
func (l *link) stop(t *testing.T) []string {
	t.Helper()
	l.cmd.Process.Signal(os.Interrupt)
	if err := l.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	streams(t, l.out.Bytes())
	var ids []string
	for _, m := range regexp.MustCompile(`"trace_id":"([0-9a-f]{32})"`).FindAllSubmatch(l.out.Bytes(), -1) {
		ids = append(ids, string(m[1]))
	}
	slices.Sort(ids)
	return ids
}

func TestChainTracesIntoJaeger(t *testing.T) {
	jaeger := stores.TestJaeger(t, stores.Options{})
	if err := jaeger.Stop(); err != nil { // what is traced meanwhile is not lost
		t.Fatal(err)
	}
	ports, err := process.FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	payment := startLink(t, "payment", address(2), "", "0s", "grpc", jaeger.OTLPGRPC)
	checkout := startLink(t, "checkout", address(1), "http://"+address(2), "0s", "http/protobuf", jaeger.OTLPHTTP)
	frontend := startLink(t, "frontend", address(0), "http://"+address(1), "50ms", "grpc", jaeger.OTLPGRPC)
	if err := sleepUntil(t.Context(), time.Now().Add(2*time.Second)); err != nil { // several failed exports
		t.Fatal(err)
	}
	if err := jaeger.Restart(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		traces, err := jaeger.Traces(t.Context(), "payment", time.Now().Add(-time.Hour), time.Now(), 10)
		return err == nil && len(traces) >= 5
	})
	ids := frontend.stop(t)
	for name, l := range map[string]*link{"checkout": checkout, "payment": payment} {
		if got := l.stop(t); !slices.Equal(got, ids) {
			t.Errorf("%s logged the traces %v, frontend %v", name, got, ids)
		}
	}
	for _, id := range ids {
		trace, err := jaeger.Trace(t.Context(), id)
		if err != nil || trace == nil {
			t.Fatalf("trace %s: %v, %v", id, trace, err)
		}
		spans := map[string]int{}
		for _, s := range trace.Spans {
			spans[trace.Processes[s.ProcessID].ServiceName]++
		}
		if len(trace.Spans) != 5 || spans["frontend"] != 2 || spans["checkout"] != 2 || spans["payment"] != 1 {
			t.Errorf("trace %s has spans %v; want 2 of frontend, 2 of checkout, 1 of payment", id, spans)
		}
	}
}
