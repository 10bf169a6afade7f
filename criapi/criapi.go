// Package criapi connects to the node's container runtime by its socket, as the
// kubelet does: the Container Runtime Interface (k8s.io/cri-api) over gRPC.
//
// It imports no collector package. What is asked of the runtime, and how long an
// answer may take, is the caller's business.
package criapi

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// DefaultEndpoint is containerd's socket.
const DefaultEndpoint = "unix:///run/containerd/containerd.sock"

// MaxMessageBytes bounds an answer of the runtime. The metrics of a container
// take about 12 KB, its place in a list 1 KB.
const MaxMessageBytes = 32 << 20

// CheckEndpoint says whether an endpoint is that of a socket.
func CheckEndpoint(endpoint string) error {
	if path, ok := strings.CutPrefix(endpoint, "unix://"); !ok || !filepath.IsAbs(path) {
		return fmt.Errorf("%q is not of the form %q", endpoint, DefaultEndpoint)
	}
	return nil
}

// Dial makes a connection, which the caller closes. The socket is opened at the
// first call and again after each loss, at most five seconds after it is back:
// a runtime that is restarted is not waited for longer than that.
func Dial(endpoint string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(endpoint,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a unix socket: the file's mode is the guard
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessageBytes)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: .2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", endpoint, err)
	}
	return conn, nil
}
