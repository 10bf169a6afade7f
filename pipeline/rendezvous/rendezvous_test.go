package rendezvous

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
)

// three is a rig with three servers.
func three(t *testing.T) *rig {
	t.Helper()
	g := newRig(t)
	for _, last := range []byte{2, 3, 4} {
		g.serve(t, last)
	}
	g.point(2, 3, 4)
	return g
}

func TestNodeComesToTheSameServer(t *testing.T) {
	g := three(t)
	first := g.send(t, Config{Node: "node-1"}).export(t)
	for range 5 {
		g.point(4, 2, 3) // whatever the order in DNS
		if next := g.send(t, Config{Node: "node-1"}).export(t); next != first {
			t.Errorf("a replaced agent is with %s, want %s", next, first)
		}
	}
}

func TestEachServerHasNodes(t *testing.T) {
	g := three(t)
	nodes := map[string]int{}
	for i := range 60 {
		nodes[g.send(t, Config{Node: fmt.Sprintf("node-%d", i)}).export(t)]++
	}
	if len(nodes) != 3 {
		t.Errorf("servers with nodes: %v", nodes)
	}
}

func TestNodesAreSpreadAndOnlyThoseOfAServerThatWentMove(t *testing.T) {
	addresses := []string{"10.0.0.1:4317", "10.0.0.2:4317", "10.0.0.3:4317", "10.0.0.4:4317"}
	nodes, moved := map[string]int{}, map[string]int{}
	for i := range 1000 {
		all, rest := slices.Clone(addresses), slices.Clone(addresses[1:])
		sortByHash(fmt.Sprint("node-", i), all)
		sortByHash(fmt.Sprint("node-", i), rest)
		nodes[all[0]]++
		if all[0] == addresses[0] {
			moved[rest[0]]++
		} else if all[0] != rest[0] {
			t.Errorf("node-%d moves from %s to %s", i, all[0], rest[0])
		}
	}
	for _, server := range addresses {
		if n := nodes[server]; n < 200 || n > 300 {
			t.Errorf("%s has %d of 1000 nodes", server, n)
		}
	}
	for _, server := range addresses[1:] {
		if n := moved[server]; n < 50 || n > 120 {
			t.Errorf("%s takes %d of the nodes", server, n)
		}
	}
}

func TestServerThatIsGoneIsPassedOver(t *testing.T) {
	g := three(t)
	s := g.send(t, Config{Node: "node-1"})
	first := s.export(t)
	g.stop(first) // and DNS does not know yet
	second := s.export(t)
	if second == first {
		t.Fatalf("%s answers after its end", first)
	}
	g.stop(second)
	if third := s.export(t); third == first || third == second {
		t.Errorf("%s answers after its end", third)
	}
}

func TestAddressThatDoesNotAnswerIsPassedOver(t *testing.T) {
	g := newRig(t)
	g.serve(t, 2)
	// A listener whose queue is full drops SYNs, as does the address of a pod
	// that is gone.
	full, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address(3), g.port))
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	fill(t, full)
	g.point(2, 3)
	for i := range 3 {
		if got := g.send(t, Config{Node: fmt.Sprint("node-", i)}).export(t); got != address(2).String() {
			t.Errorf("%s answers", got)
		}
	}
}

// fill makes the listener's queue as short as can be, and fills it.
func fill(t *testing.T, l net.Listener) {
	t.Helper()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }), err); err != nil {
		t.Fatal(err)
	}
	for range 1 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
}

func TestServerThatHangsIsPassedOver(t *testing.T) {
	g := newRig(t)
	g.serve(t, 2)
	// Its kernel takes connections, it does not: no SETTINGS and no TLS come.
	hung, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address(3), g.port))
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	c := &channel{rendezvous: newNode(t, g)}
	both := []string{hung.Addr().String(), fmt.Sprintf("%s:%d", address(2), g.port)}
	var order []string
	for range 3 {
		conn, err := c.connect(t.Context(), name, slices.Clone(both))
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, conn.RemoteAddr().String())
		if order[len(order)-1] == both[1] {
			c.TagConn(t.Context(), nil) // as gRPC does after the handshake
		}
		conn.Close()
	}
	if want := []string{both[0], both[1], both[0]}; !slices.Equal(order, want) {
		t.Errorf("connections went to %v, want %v: the first took no handshake", order, want)
	}
}

// newNode is of a node that has the address .3 first.
func newNode(t *testing.T, g *rig) *rendezvous {
	t.Helper()
	for i := 0; ; i++ {
		both := []string{fmt.Sprintf("%s:%d", address(2), g.port), fmt.Sprintf("%s:%d", address(3), g.port)}
		node := fmt.Sprint("node-", i)
		if sortByHash(node, both); strings.HasPrefix(both[0], address(3).String()) {
			return &rendezvous{cfg: &Config{}, node: node, resolver: g.resolver, proxy: http.ProxyFromEnvironment}
		}
	}
}

func TestNewServersAreFoundWhenAllAreGone(t *testing.T) {
	g := newRig(t)
	g.serve(t, 2)
	g.serve(t, 3)
	g.point(2, 3)
	s := g.send(t, Config{Node: "node-1"})
	s.export(t)
	g.stop(address(2).String())
	g.stop(address(3).String())
	g.point() // the name is gone, too
	if _, err := s.metrics.Export(t.Context(), pmetricotlp.NewExportRequest()); err == nil {
		t.Error("a request is answered without servers")
	}
	g.serve(t, 4)
	g.point(4)
	if got := s.export(t); got != address(4).String() {
		t.Errorf("%s answers", got)
	}
}

func TestServerThatReturnsGetsItsNodes(t *testing.T) {
	g := three(t)
	s := g.send(t, Config{Node: "node-1"})
	own := s.export(t)
	g.stop(own)
	other := s.export(t)
	g.serve(t, addressByte(own))
	g.stop(other) // which ends the connection
	if got := s.export(t); got != own {
		t.Errorf("%s answers, want the node's own %s", got, own)
	}
}

func addressByte(server string) byte { return net.ParseIP(server).To4()[3] }

func TestLastAddressesAreKeptWhileDNSIsAway(t *testing.T) {
	g := three(t)
	s := g.send(t, Config{Node: "node-1"})
	own := s.export(t)
	g.mu.Lock()
	g.silent = true
	g.mu.Unlock()
	g.stop(own)
	if got := s.export(t); got == own {
		t.Errorf("%s answers after its end", got)
	}
}

// With a file, a node stays where its metrics went, whatever the hash says.
func TestNodeStaysWithItsServer(t *testing.T) {
	g := three(t)
	cfg := Config{Node: "node-1", File: filepath.Join(t.TempDir(), "aggregator")}
	s := g.send(t, cfg)
	own := s.export(t)
	g.stop(own)
	other := s.export(t)
	g.serve(t, addressByte(own))
	for range 3 {
		s = g.send(t, cfg) // a replaced agent
		if got := s.export(t); got != other {
			t.Errorf("%s answers, want %s, which has the node's series", got, other)
		}
	}
	text, err := os.ReadFile(cfg.File)
	if err != nil || strings.TrimSpace(string(text)) != fmt.Sprintf("%s:%d", other, g.port) {
		t.Errorf("file holds %q (%v)", text, err)
	}
	// All signals follow the metrics.
	s.connect(t, fmt.Sprintf("%s:%d", name, g.port))
	if got := s.export(t); got != other {
		t.Errorf("another connection is with %s, want %s", got, other)
	}
	g.stop(other)
	if got := s.export(t); got != own {
		t.Errorf("%s answers, want %s", got, own)
	}
}

func TestDamagedFileIsNoHindrance(t *testing.T) {
	g := three(t)
	want := g.send(t, Config{Node: "node-1"}).export(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"text": "not an address", "empty": "", "long": strings.Repeat("1", 1<<20), "other": "10.1.2.3:4317"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := g.send(t, Config{Node: "node-1", File: file}).export(t); got != want {
			t.Errorf("%s: %s answers, want %s", name, got, want)
		}
	}
	if got := g.send(t, Config{Node: "node-1", File: filepath.Join(dir, "none", "aggregator")}).export(t); got != want {
		t.Errorf("no folder: %s answers, want %s", got, want)
	}
}

// Endpoints that are one address work as without the extension.
func TestEndpointsOfOneServer(t *testing.T) {
	g := newRig(t)
	g.serve(t, 2)
	g.point(2)
	for _, endpoint := range []string{
		fmt.Sprintf("%s:%d", address(2), g.port),
		fmt.Sprintf("http://%s:%d", address(2), g.port),
		fmt.Sprintf("dns:///%s:%d", name, g.port),
		fmt.Sprintf("passthrough:///%s:%d", name, g.port),
	} {
		if got := g.sendTo(t, Config{}, endpoint).export(t); got != address(2).String() {
			t.Errorf("%s: %s answers", endpoint, got)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	g := newRig(t)
	path := filepath.Join(t.TempDir(), "otlp.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{rig: g, own: address(9), grpc: grpc.NewServer()}
	pmetricotlp.RegisterGRPCServer(s.grpc, s)
	s.serving.Go(func() { s.grpc.Serve(listener) })
	defer s.stop()
	if got := g.sendTo(t, Config{}, "unix://"+path).export(t); got != address(9).String() {
		t.Errorf("%s answers", got)
	}
}

// A proxy looks up the name itself.
func TestProxy(t *testing.T) {
	g := newRig(t)
	g.serve(t, 2)
	proxy, asked := startProxy(t, fmt.Sprintf("%s:%d", address(2), g.port))
	s := g.send(t, Config{Node: "node-1"})
	s.conn.Close()
	s.rendezvous.proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "https" {
			return nil, fmt.Errorf("asked for the proxy of %s", r.URL)
		}
		return &url.URL{Scheme: "http", Host: proxy, User: url.UserPassword("crow", "nest")}, nil
	}
	s.connect(t, fmt.Sprintf("far.test:%d", g.port))
	if got := s.export(t); got != address(2).String() {
		t.Errorf("%s answers", got)
	}
	if want := fmt.Sprintf("CONNECT far.test:%d Basic Y3JvdzpuZXN0", g.port); asked() != want {
		t.Errorf("the proxy was asked %q, want %q", asked(), want)
	}
}
