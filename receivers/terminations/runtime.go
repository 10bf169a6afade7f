package terminations

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/crowsnest-o11y/crowsnest/criapi"
)

const callTimeout = 10 * time.Second

// runtime is the CRI socket.
type runtime struct {
	conn   *grpc.ClientConn
	client cri.RuntimeServiceClient
}

func newRuntime(endpoint string) (*runtime, error) {
	conn, err := criapi.Dial(endpoint)
	if err != nil {
		return nil, err
	}
	return &runtime{conn: conn, client: cri.NewRuntimeServiceClient(conn)}, nil
}

func (r *runtime) close() error { return r.conn.Close() }

// list gives all containers, whatever their state.
func (r *runtime) list(ctx context.Context) ([]*cri.Container, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := r.client.ListContainers(ctx, &cri.ListContainersRequest{})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return resp.GetContainers(), nil
}

// status is nil without an error if the runtime has no such container.
func (r *runtime) status(ctx context.Context, id string) (*cri.ContainerStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := r.client.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get status of container %s: %w", id, err)
	}
	return resp.GetStatus(), nil
}

// identityOf takes what the kubelet wrote on the container; one that was made
// by hand has a name alone.
func identityOf(labels map[string]string, metadata *cri.ContainerMetadata) identity {
	i := identity{
		Namespace: labels["io.kubernetes.pod.namespace"],
		Pod:       labels["io.kubernetes.pod.name"],
		UID:       labels["io.kubernetes.pod.uid"],
		Container: labels["io.kubernetes.container.name"],
	}
	if i.Container == "" {
		i.Container = metadata.GetName()
	}
	return i
}

// exitOf is the record of an end; ok is false if the container did not end.
func exitOf(s *cri.ContainerStatus, now time.Time) (r record, ok bool) {
	if s.GetState() != cri.ContainerState_CONTAINER_EXITED {
		return record{}, false
	}
	reason := s.GetReason()
	if reason == "" && s.GetExitCode() == 0 {
		reason = "Completed"
	} else if reason == "" {
		reason = "Error"
	}
	return record{
		Kind: kindExited, ID: s.GetId(), identity: identityOf(s.GetLabels(), s.GetMetadata()),
		At: now.UnixMilli(), Reason: reason, ExitCode: s.GetExitCode(),
	}.bounded(), true
}
