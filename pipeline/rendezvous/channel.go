package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/stats"
)

const (
	// connectTimeout is for one address. The kernel answers for a busy program,
	// so it says nothing about load; a lost SYN is sent again after a second.
	connectTimeout = 2 * time.Second
	// lookUpTimeout leaves time to try the addresses of the last time.
	lookUpTimeout = 5 * time.Second
)

// channel makes the connections of one exporter and signal, one at a time.
type channel struct {
	*rendezvous

	mu    sync.Mutex
	known []string // addresses of the last look-up
	last  string   // address of the last connection
	up    bool     // it got through its handshake
}

// dial connects to the first address that takes it. gRPC ends ctx after
// MinConnectTimeout.
func (c *channel) dial(ctx context.Context, target string) (net.Conn, error) {
	if path, ok := strings.CutPrefix(target, "unix:"); ok {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(path, "//"))
	}
	proxy, err := c.proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: target}})
	if err != nil {
		return nil, fmt.Errorf("find proxy for %s: %w", target, err)
	}
	if proxy != nil {
		return dialProxy(ctx, proxy, target)
	}
	addresses, err := c.lookUp(ctx, target)
	if err != nil {
		return nil, err
	}
	return c.connect(ctx, target, addresses)
}

func (c *channel) connect(ctx context.Context, target string, addresses []string) (net.Conn, error) {
	c.order(addresses)
	addresses = c.begin(addresses)
	dialer := net.Dialer{Timeout: connectTimeout}
	var last error
	for _, address := range addresses {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			c.connected(address)
			return conn, nil
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("connect to one of %d addresses of %s: %w", len(addresses), target, last)
}

// begin puts an address last whose program did not even shake hands: its kernel
// would take the next connection, too.
func (c *channel) begin(addresses []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(addresses, c.last); i >= 0 && !c.up {
		addresses = append(slices.Delete(addresses, i, i+1), c.last)
	}
	c.last = ""
	return addresses
}

func (c *channel) connected(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.up = address, false
}

// lookUp returns the addresses that a target has now. While DNS does not answer
// these are those of the last time; a name that it does not know has none.
func (c *channel) lookUp(ctx context.Context, target string) ([]string, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, fmt.Errorf("parse endpoint: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	found, err := c.resolver.LookupHost(ctx, host)
	c.mu.Lock()
	defer c.mu.Unlock()
	if missing := (*net.DNSError)(nil); err != nil && (len(c.known) == 0 || errors.As(err, &missing) && missing.IsNotFound) {
		return nil, fmt.Errorf("look up endpoint: %w", err)
	}
	if err == nil {
		c.known = c.known[:0]
		for _, ip := range found {
			c.known = append(c.known, net.JoinHostPort(ip, port))
		}
	}
	return slices.Clone(c.known), nil
}

// TagConn is called when a connection is through its TLS handshake.
func (c *channel) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = true
	return ctx
}

// The other calls of stats.Handler tell nothing that is needed.

func (*channel) HandleConn(context.Context, stats.ConnStats)                     {}
func (*channel) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (*channel) HandleRPC(context.Context, stats.RPCStats)                       {}

// undivided stands in for gRPC's own look-up of names, which is the scheme of a
// target without one, and leaves the name to the dialer.
type undivided struct{}

func (undivided) Scheme() string { return "dns" }

func (undivided) Build(target resolver.Target, conn resolver.ClientConn, opts resolver.BuildOptions) (resolver.Resolver, error) {
	scheme := "passthrough"
	if target.URL.Host != "" { // dns://SERVER/NAME asks a server that is not the machine's
		scheme = "dns"
	}
	return resolver.Get(scheme).Build(target, conn, opts)
}
