package rendezvous

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/peer"
)

// rendezvous is what all connections of a node share.
type rendezvous struct {
	cfg    *Config
	logger *zap.Logger
	// resolver and proxy are the machine's, but in tests.
	resolver *net.Resolver
	proxy    func(*http.Request) (*url.URL, error)

	mu   sync.Mutex
	node string
	kept string // address of the server that took the last metrics; "" without file
}

func newRendezvous(set extension.Settings, cfg *Config) *rendezvous {
	return &rendezvous{cfg: cfg, logger: set.Logger, resolver: net.DefaultResolver, proxy: http.ProxyFromEnvironment, node: cfg.Node}
}

// Start reads what the last process of this node left.
func (r *rendezvous) Start(context.Context, component.Host) error {
	if r.node == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("get this machine's name (set node instead): %w", err)
		}
		r.node = name
	}
	if r.cfg.File == "" {
		return nil
	}
	kept, err := readAddress(r.cfg.File)
	if err != nil {
		r.logger.Warn("cannot read which server this node was with: its metrics may be with two for a while", zap.String("file", r.cfg.File), zap.Error(err))
	}
	r.kept = kept
	return nil
}

// Shutdown has nothing to end: connections are the exporters'.
func (r *rendezvous) Shutdown(context.Context) error { return nil }

// reconnect bounds a connection attempt, and the time between two: short at
// first, since servers that are replaced are back within seconds.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
	MinConnectTimeout: 10 * time.Second,
}

// GetGRPCClientOptions is called once for each exporter and signal.
func (r *rendezvous) GetGRPCClientOptions(context.Context) ([]grpc.DialOption, error) {
	c := &channel{rendezvous: r}
	return []grpc.DialOption{
		grpc.WithConnectParams(reconnect),
		grpc.WithResolvers(undivided{}),
		grpc.WithContextDialer(c.dial),
		grpc.WithStatsHandler(c),
		grpc.WithChainUnaryInterceptor(r.remember),
	}, nil
}

// remember notes who took metrics, for only these are shown on pages.
func (r *rendezvous) remember(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if r.cfg.File == "" || !strings.Contains(method, "MetricsService") {
		return invoke(ctx, method, req, reply, conn, opts...)
	}
	var server peer.Peer
	err := invoke(ctx, method, req, reply, conn, append(slices.Clip(opts), grpc.Peer(&server))...)
	if err == nil && server.Addr != nil {
		r.keep(server.Addr.String())
	}
	return err
}

func (r *rendezvous) keep(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if address == r.kept {
		return
	}
	r.logger.Info("another server takes this node's metrics", zap.String("server", address), zap.String("before", r.kept))
	r.kept = address
	if err := writeAddress(r.cfg.File, address); err != nil {
		r.logger.Warn("cannot write which server this node is with: after a restart its metrics may be with two for a while", zap.String("file", r.cfg.File), zap.Error(err))
	}
}

// order sorts addresses into that in which they are tried.
func (r *rendezvous) order(addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sortByHash(r.node, addresses)
	if i := slices.Index(addresses, r.kept); i > 0 {
		copy(addresses[1:i+1], addresses[:i])
		addresses[0] = r.kept
	}
}
