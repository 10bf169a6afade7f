package terminations

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

const (
	// eventQueue is how many events wait for the loop. The stream is read
	// without delay, since containerd holds up everything while one of its
	// subscribers does not read.
	eventQueue = 4096
	// streamRetry is how long a broken stream waits to be made again.
	streamRetry = time.Second
	// noStreamRetry is the same for a runtime that has none.
	noStreamRetry = 5 * time.Minute
)

// event is what the loop needs of one of the runtime's.
type event struct {
	record  record   // of kind run or exit; its Kind is "" if the status was missing
	id      string   // of the container
	who     identity // without the container if the status was missing
	created bool
	stopped bool
	// unstarted are the ends of containers of the pod that could not be started,
	// for which there are no events.
	unstarted []record
}

// stream passes on events until ctx ends. What happens while there is no stream
// is found by listing.
func (r *runtime) stream(ctx context.Context, out chan<- event, t *telemetry, complaints *complaint.Log) {
	for ctx.Err() == nil {
		err := r.receive(ctx, out, t, complaints)
		if ctx.Err() != nil {
			return
		}
		t.connected(false)
		wait, message := streamRetry, "Stream of container events ended; exits are found by listing until it is back"
		if status.Code(err) == codes.Unimplemented {
			wait, message = noStreamRetry, "Runtime has no stream of container events; exits are found by listing, and a container that is removed sooner than the next list shows as ContainerStatusUnknown"
		}
		t.failed("events")
		complaints.Warn("events", message, zap.Error(err))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (r *runtime) receive(ctx context.Context, out chan<- event, t *telemetry, complaints *complaint.Log) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.client.GetContainerEvents(ctx, &cri.GetEventsRequest{})
	if err != nil {
		return fmt.Errorf("subscribe to container events: %w", err)
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("receive container event: %w", err)
		}
		t.connected(true)
		complaints.Over("events", "Stream of container events is back")
		e, ok := eventOf(message, time.Now())
		if !ok {
			continue
		}
		t.event()
		select {
		case out <- e:
		default:
			return fmt.Errorf("receive container event: %d wait to be counted", eventQueue)
		}
	}
}

// eventOf takes over what matters; ok is false if nothing does.
func eventOf(m *cri.ContainerEventResponse, now time.Time) (e event, ok bool) {
	id := m.GetContainerId()
	sandbox := m.GetPodSandboxStatus()
	if id == "" || id == sandbox.GetId() {
		return event{}, false // the pod's own, not a container's
	}
	e = event{id: id, who: identity{
		Namespace: sandbox.GetMetadata().GetNamespace(), Pod: sandbox.GetMetadata().GetName(), UID: sandbox.GetMetadata().GetUid(),
	}}
	switch m.GetContainerEventType() {
	case cri.ContainerEventType_CONTAINER_CREATED_EVENT:
		e.created = true
	case cri.ContainerEventType_CONTAINER_STARTED_EVENT:
	case cri.ContainerEventType_CONTAINER_STOPPED_EVENT:
		e.stopped = true
	default:
		return event{}, false
	}
	for _, s := range m.GetContainersStatuses() {
		r, ended := exitOf(s, now)
		switch {
		case s.GetId() == id:
			e.record = recordOf(s, now)
			e.who = identityOf(s.GetLabels(), s.GetMetadata())
		case ended && s.GetStartedAt() == 0:
			e.unstarted = append(e.unstarted, r)
		}
	}
	return e, true
}

// recordOf says that a container ended or runs; its Kind is "" if neither.
func recordOf(s *cri.ContainerStatus, now time.Time) record {
	if r, ok := exitOf(s, now); ok {
		return r
	}
	if s.GetState() != cri.ContainerState_CONTAINER_RUNNING {
		return record{}
	}
	return record{
		Kind: kindRunning, ID: s.GetId(), identity: identityOf(s.GetLabels(), s.GetMetadata()), At: now.UnixMilli(),
	}.bounded()
}
