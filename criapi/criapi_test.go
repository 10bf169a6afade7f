package criapi

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestCheckEndpoint(t *testing.T) {
	for endpoint, want := range map[string]bool{
		DefaultEndpoint:              true,
		"unix:///run/crio/crio.sock": true,
		"":                           false,
		"/run/containerd.sock":       false,
		"unix://containerd.sock":     false,
		"tcp://127.0.0.1:1234":       false,
	} {
		if err := CheckEndpoint(endpoint); (err == nil) != want || err != nil && !strings.Contains(err.Error(), DefaultEndpoint) {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

// runtime answers with a version of a size.
type runtime struct {
	cri.UnimplementedRuntimeServiceServer
	bytes int
}

func (r *runtime) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{RuntimeName: strings.Repeat("x", r.bytes)}, nil
}

// TestDial asks before there is a socket, then for what fits, then for too much.
func TestDial(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	conn, err := Dial("unix://" + socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := cri.NewRuntimeServiceClient(conn)
	if _, err := client.Version(t.Context(), &cri.VersionRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("without a socket: %v", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server, answers := grpc.NewServer(), &runtime{bytes: MaxMessageBytes - 100}
	cri.RegisterRuntimeServiceServer(server, answers)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { server.Stop(); <-served }()
	if _, err := client.Version(t.Context(), &cri.VersionRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Errorf("an answer of %d bytes: %v", answers.bytes, err)
	}
	answers.bytes = MaxMessageBytes
	if _, err := client.Version(t.Context(), &cri.VersionRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("an answer over %d bytes: %v", MaxMessageBytes, err)
	}
}
