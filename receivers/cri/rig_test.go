package cri

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// sink is the pipeline behind the receiver.
type sink struct {
	mu  sync.Mutex
	got [][]string
	err error
}

func (*sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *sink) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.got = append(s.got, flatten(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()))
	}
	return s.err
}

func (s *sink) last() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		return nil
	}
	return s.got[len(s.got)-1]
}

// rig is a receiver that is scraped by hand.
type rig struct {
	*scraper
	sink      *sink
	logs      *observer.ObservedLogs
	telemetry *componenttest.Telemetry
}

func newRig(t testing.TB, socket string, change func(*Config)) *rig {
	t.Helper()
	r := &rig{sink: &sink{}, telemetry: componenttest.NewTelemetry()}
	t.Cleanup(func() { _ = r.telemetry.Shutdown(context.Background()) })
	cfg := NewFactory().CreateDefaultConfig().(*Config)
	cfg.Endpoint, cfg.Instance = "unix://"+socket, "10.0.0.1:10250"
	if change != nil {
		change(cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = r.telemetry.NewTelemetrySettings()
	core, logs := observer.New(zapcore.InfoLevel)
	set.Logger, r.logs = zap.New(core), logs
	made, err := newReceiver(cfg, set, r.sink)
	if err != nil {
		t.Fatal(err)
	}
	r.scraper = made.scraper
	if r.runtime, err = newRuntime(cfg.Endpoint); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.runtime.conn.Close() })
	return r
}

// fake answers as the capture, or fails on demand, which a real runtime does not.
type fake struct {
	cri.UnimplementedRuntimeServiceServer
	cri.UnimplementedImageServiceServer
	answers answers

	mu   sync.Mutex
	err  error         // of ListPodSandboxStats
	hang chan struct{} // not nil: that waits for its end
}

func (f *fake) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return f.answers.version, nil
}

func (f *fake) Status(context.Context, *cri.StatusRequest) (*cri.StatusResponse, error) {
	return &cri.StatusResponse{Status: f.answers.status}, nil
}

func (f *fake) ListContainers(context.Context, *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	return &cri.ListContainersResponse{Containers: f.answers.containers}, nil
}

func (f *fake) ListPodSandboxStats(ctx context.Context, _ *cri.ListPodSandboxStatsRequest) (*cri.ListPodSandboxStatsResponse, error) {
	f.mu.Lock()
	err, hang := f.err, f.hang
	f.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
		}
	}
	return &cri.ListPodSandboxStatsResponse{Stats: f.answers.pods}, err
}

func (f *fake) fail(err error, hang chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.hang = err, hang
}

// serve listens at a socket until the test ends or stop is called.
func (f *fake) serve(t testing.TB, socket string) (stop func()) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, f)
	cri.RegisterImageServiceServer(server, f)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	stop = sync.OnceFunc(func() { server.Stop(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// socketPath is short: one of a socket has 107 bytes at most.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func up(lines []string) string {
	found := find(lines, "up{} gauge ")
	if len(found) != 1 {
		return "none"
	}
	return strings.Fields(found[0])[2]
}

func stale(lines []string) (count int) {
	for _, line := range lines {
		if strings.Contains(line, " stale ") {
			count++
		}
	}
	return count
}

func (r *rig) outcome(t testing.TB, outcome string) int64 {
	t.Helper()
	return counters.Sum(t, r.telemetry, "crowsnest_cri_scrapes", "outcome", outcome)
}
