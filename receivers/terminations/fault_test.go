package terminations

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// fake is a runtime that fails as a real one does not on demand.
type fake struct {
	cri.UnimplementedRuntimeServiceServer

	mu       sync.Mutex
	ended    []*cri.ContainerStatus
	statuses error         // of ContainerStatus
	events   bool          // there is a stream
	flood    int           // events to send at once
	flooded  chan struct{} // not nil: lists wait until the stream was given up
}

func (f *fake) ListContainers(context.Context, *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	if f.flooded != nil {
		<-f.flooded
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	resp := &cri.ListContainersResponse{}
	for _, s := range f.ended {
		resp.Containers = append(resp.Containers, &cri.Container{Id: s.GetId(), State: s.GetState(), Labels: s.GetLabels()})
	}
	return resp, nil
}

func (f *fake) ContainerStatus(_ context.Context, q *cri.ContainerStatusRequest) (*cri.ContainerStatusResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.ended {
		if s.GetId() == q.GetContainerId() && f.statuses == nil {
			return &cri.ContainerStatusResponse{Status: s}, nil
		}
	}
	if f.statuses != nil {
		return nil, f.statuses
	}
	return nil, status.Error(codes.NotFound, "no such container")
}

func (f *fake) GetContainerEvents(_ *cri.GetEventsRequest, stream cri.RuntimeService_GetContainerEventsServer) error {
	f.mu.Lock()
	events, flood := f.events, f.flood
	f.flood = 0
	f.mu.Unlock()
	if !events {
		return status.Error(codes.Unimplemented, "no stream here")
	}
	f.mu.Lock()
	for i := range flood {
		f.ended = append(f.ended, endOf(fmt.Sprint("flood", i)))
	}
	flooding := f.ended[:flood:flood]
	f.mu.Unlock()
	if flood > 0 {
		defer close(f.flooded)
	}
	for _, s := range flooding {
		if err := stream.Send(&cri.ContainerEventResponse{
			ContainerId: s.GetId(), ContainerEventType: cri.ContainerEventType_CONTAINER_STOPPED_EVENT,
			ContainersStatuses: []*cri.ContainerStatus{s},
		}); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return nil
}

func endOf(id string) *cri.ContainerStatus {
	return &cri.ContainerStatus{
		Id: id, State: cri.ContainerState_CONTAINER_EXITED, FinishedAt: 1, Labels: map[string]string{
			"io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.name": "web-0",
			"io.kubernetes.pod.uid": "u1", "io.kubernetes.container.name": "http",
		},
	}
}

func (f *fake) serve(t *testing.T) (endpoint string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, f)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); running.Wait() })
	return "unix://" + listener.Addr().String()
}

// local is a receiver in this process.
type local struct {
	receiver.Metrics
	telemetry *componenttest.Telemetry

	mu   sync.Mutex
	last map[string]float64
	err  error
	hold bool // the pipeline waits
}

func startLocal(t *testing.T, endpoint string) *local {
	t.Helper()
	l := &local{telemetry: componenttest.NewTelemetry()}
	t.Cleanup(func() { _ = l.telemetry.Shutdown(context.Background()) })
	next, err := consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
		l.mu.Lock()
		hold := l.hold
		l.mu.Unlock()
		if hold {
			<-ctx.Done()
			return ctx.Err()
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.err == nil {
			l.last = flatten(md)
		}
		return l.err
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(endpoint)
	cfg.CollectionInterval, cfg.CgroupRoot = 100*time.Millisecond, ""
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = l.telemetry.NewTelemetrySettings()
	if l.Metrics, err = NewFactory().CreateMetrics(t.Context(), set, &cfg, next); err != nil {
		t.Fatal(err)
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown without start: %v", err)
	}
	if err := l.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := l.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return l
}

// wait ends with the test's own time limit.
func (l *local) wait(series string, value float64) {
	for {
		l.mu.Lock()
		got := l.last[series]
		l.mu.Unlock()
		if got == value {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestRuntimeWithoutStream finds ends by listing, and tries a status again.
func TestRuntimeWithoutStream(t *testing.T) {
	f := &fake{}
	l := startLocal(t, f.serve(t))
	f.mu.Lock()
	f.ended, f.statuses = []*cri.ContainerStatus{endOf("a"), endOf("b")}, status.Error(codes.Internal, "broken")
	f.mu.Unlock()
	for counters.Sum(t, l.telemetry, "crowsnest_terminations_failures", "operation", "status") == 0 {
		time.Sleep(10 * time.Millisecond) // ends with the test's own time limit
	}
	f.mu.Lock()
	f.statuses = nil
	f.mu.Unlock()
	l.wait(completed, 2)
	if counters.Sum(t, l.telemetry, "crowsnest_terminations_failures", "operation", "events") == 0 {
		t.Error("the missing stream is not told of")
	}
}

// TestFlood sends more events than wait: the stream is given up, the list has
// what it brought.
func TestFlood(t *testing.T) {
	f := &fake{events: true, flood: 3 * eventQueue, flooded: make(chan struct{})}
	l := startLocal(t, f.serve(t))
	l.wait(completed, 3*eventQueue)
	if counters.Sum(t, l.telemetry, "crowsnest_terminations_failures", "operation", "events") == 0 {
		t.Error("the stream was not given up")
	}
}

func TestNoRuntime(t *testing.T) {
	l := startLocal(t, "unix:///nonexistent/cri.sock")
	for counters.Sum(t, l.telemetry, "crowsnest_terminations_failures", "operation", "list") == 0 {
		time.Sleep(10 * time.Millisecond) // ends with the test's own time limit
	}
}

// TestRefusedSamples: the next ones have what those had, beginning with 0.
func TestRefusedSamples(t *testing.T) {
	f := &fake{}
	l := startLocal(t, f.serve(t))
	l.mu.Lock()
	l.err = errors.New("full")
	l.mu.Unlock()
	f.mu.Lock()
	f.ended = []*cri.ContainerStatus{endOf("a")}
	f.mu.Unlock()
	for counters.Sum(t, l.telemetry, "crowsnest_dropped_items", "reason", reasonRefused) < 3 {
		time.Sleep(10 * time.Millisecond) // ends with the test's own time limit
	}
	l.mu.Lock()
	l.err = nil
	l.mu.Unlock()
	l.wait(completed, 1)
}

// TestHeldUpPipeline: while the pipeline waits for a store that is away, ends are
// counted on, also of containers that are not there any more when it is back.
func TestHeldUpPipeline(t *testing.T) {
	f := &fake{}
	l := startLocal(t, f.serve(t))
	l.mu.Lock()
	l.hold = true
	l.mu.Unlock()
	for counters.Sum(t, l.telemetry, "crowsnest_dropped_items", "reason", reasonRefused) == 0 {
		f.mu.Lock()
		f.ended = []*cri.ContainerStatus{endOf("a")} // there is nothing to send before
		f.mu.Unlock()
		time.Sleep(10 * time.Millisecond) // ends with the test's own time limit
	}
	f.mu.Lock()
	f.ended = []*cri.ContainerStatus{endOf("b")}
	f.mu.Unlock()
	for counters.Sum(t, l.telemetry, "crowsnest_terminations_exits") < 2 {
		time.Sleep(10 * time.Millisecond) // likewise
	}
	f.mu.Lock()
	f.ended = nil
	f.mu.Unlock()
	l.mu.Lock()
	l.hold = false
	l.mu.Unlock()
	l.wait(completed, 2)
}
