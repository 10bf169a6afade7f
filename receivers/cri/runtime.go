package cri

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

// retryUnimplemented is when a call that the runtime did not know is tried
// again: it may have been updated.
const retryUnimplemented = 10 * time.Minute

// runtime is the CRI socket. Of one goroutine.
type runtime struct {
	conn   *grpc.ClientConn
	client cri.RuntimeServiceClient
	images cri.ImageServiceClient

	without map[string]time.Time // calls that the runtime does not know, and since when
}

func newRuntime(endpoint string) (*runtime, error) {
	conn, err := criapi.Dial(endpoint)
	if err != nil {
		return nil, err
	}
	return &runtime{
		conn: conn, client: cri.NewRuntimeServiceClient(conn), images: cri.NewImageServiceClient(conn),
		without: map[string]time.Time{},
	}, nil
}

// answers are what one scrape asked for; nil where the runtime does not have it.
type answers struct {
	containers  []*cri.Container
	pods        []*cri.PodSandboxStats
	stats       []*cri.ContainerStats // where there are no pods' stats
	descriptors []*cri.MetricDescriptor
	metrics     []*cri.PodSandboxMetrics
	images      *cri.ImageFsInfoResponse
	status      *cri.RuntimeStatus
	version     *cri.VersionResponse
}

// ask makes all calls, one after the other: none of them is to take a second
// core of the node.
func (r *runtime) ask(ctx context.Context) (a answers, err error) {
	version, err := call(ctx, r, "Version", &cri.VersionRequest{}, r.client.Version)
	if err != nil {
		return a, err
	}
	a.version = version
	if err := r.askState(ctx, &a); err != nil {
		return a, err
	}
	return a, r.askStats(ctx, &a)
}

func (r *runtime) askState(ctx context.Context, a *answers) error {
	state, err := call(ctx, r, "Status", &cri.StatusRequest{}, r.client.Status)
	if err != nil {
		return err
	}
	a.status = state.GetStatus()
	list, err := call(ctx, r, "ListContainers", &cri.ListContainersRequest{
		Filter: &cri.ContainerFilter{State: &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}},
	}, r.client.ListContainers)
	if err != nil {
		return err
	}
	a.containers = list.GetContainers()
	a.images, err = call(ctx, r, "ImageFsInfo", &cri.ImageFsInfoRequest{}, r.images.ImageFsInfo)
	return err
}

func (r *runtime) askStats(ctx context.Context, a *answers) error {
	pods, err := call(ctx, r, "ListPodSandboxStats", &cri.ListPodSandboxStatsRequest{}, r.client.ListPodSandboxStats)
	if err != nil {
		return err
	}
	a.pods = pods.GetStats()
	if pods == nil {
		stats, err := call(ctx, r, "ListContainerStats", &cri.ListContainerStatsRequest{}, r.client.ListContainerStats)
		if err != nil {
			return err
		}
		a.stats = stats.GetStats()
	}
	descriptors, err := call(ctx, r, "ListMetricDescriptors", &cri.ListMetricDescriptorsRequest{}, r.client.ListMetricDescriptors)
	if err != nil || descriptors == nil {
		return err
	}
	metrics, err := call(ctx, r, "ListPodSandboxMetrics", &cri.ListPodSandboxMetricsRequest{}, r.client.ListPodSandboxMetrics)
	a.descriptors, a.metrics = descriptors.GetDescriptors(), metrics.GetPodMetrics()
	return err
}

// call asks the runtime; it gives nil without an error if that has no such call.
func call[Q, A any](ctx context.Context, r *runtime, name string, question *Q,
	ask func(context.Context, *Q, ...grpc.CallOption) (*A, error),
) (*A, error) {
	if since, ok := r.without[name]; ok && time.Since(since) < retryUnimplemented {
		return nil, nil
	}
	answer, err := ask(ctx, question)
	if status.Code(err) == codes.Unimplemented {
		r.without[name] = time.Now()
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	delete(r.without, name)
	return answer, nil
}
