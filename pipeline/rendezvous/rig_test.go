package rendezvous

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
)

// rig is a name in DNS, servers of OTLP behind it, and exporters' clients.
type rig struct {
	resolver *net.Resolver
	port     int

	mu        sync.Mutex
	addresses []netip.Addr // of the name
	silent    bool         // DNS does not answer
	running   map[netip.Addr]*server
}

// name is what the rig's DNS knows.
const name = "aggregators.test"

func newRig(t *testing.T) *rig {
	t.Helper()
	g := &rig{running: map[netip.Addr]*server{}}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answering sync.WaitGroup
	answering.Go(func() { g.answer(conn) })
	t.Cleanup(func() { conn.Close(); answering.Wait() })
	g.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	return g
}

// answer is a DNS server (RFC 1035) of one name with A records.
func (g *rig) answer(conn net.PacketConn) {
	query := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(query)
		if err != nil {
			return
		}
		end := 12
		for end < n && query[end] != 0 {
			end += int(query[end]) + 1
		}
		if end+5 > n {
			continue
		}
		g.mu.Lock()
		silent, addresses := g.silent, g.addresses
		g.mu.Unlock()
		known := string(query[13:end]) == "aggregators\x04test" && len(addresses) > 0
		if query[end+2] != 1 { // no A records are asked for
			addresses = nil
		}
		if silent {
			// Refused: a resolver that gets no answer waits for seconds.
			conn.WriteTo(header(query[:end+5], 5, 0), from)
			continue
		}
		if !known {
			conn.WriteTo(header(query[:end+5], 3, 0), from) // no such name
			continue
		}
		reply := header(query[:end+5], 0, len(addresses))
		for _, a := range addresses {
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			reply = append(reply, a.AsSlice()...)
		}
		conn.WriteTo(reply, from)
	}
}

// header turns a query into the begin of its answer.
func header(query []byte, code byte, answers int) []byte {
	reply := append([]byte(nil), query...)
	reply[2], reply[3] = 0x81|query[2], 0x80|code
	binary.BigEndian.PutUint16(reply[6:], uint16(answers))
	binary.BigEndian.PutUint32(reply[8:], 0)
	return reply
}

// point sets the addresses of the name.
func (g *rig) point(last ...byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addresses = nil
	for _, l := range last {
		g.addresses = append(g.addresses, address(l))
	}
}

func address(last byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, last}) }

// server takes metrics and tells who sent them.
type server struct {
	pmetricotlp.UnimplementedGRPCServer
	rig     *rig
	own     netip.Addr
	grpc    *grpc.Server
	serving sync.WaitGroup
}

// Export puts the server's address into the answer.
func (s *server) Export(context.Context, pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	answer := pmetricotlp.NewExportResponse()
	answer.PartialSuccess().SetErrorMessage(s.own.String())
	return answer, nil
}

// serve starts a server at 127.0.0.last, all of them with one port.
func (g *rig) serve(t *testing.T, last byte) {
	t.Helper()
	own := address(last)
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", own, g.port))
	if err != nil {
		t.Fatal(err)
	}
	g.port = listener.Addr().(*net.TCPAddr).Port
	s := &server{rig: g, own: own, grpc: grpc.NewServer()}
	pmetricotlp.RegisterGRPCServer(s.grpc, s)
	s.serving.Go(func() { s.grpc.Serve(listener) })
	g.running[own] = s
	t.Cleanup(s.stop)
}

func (s *server) stop() {
	s.grpc.Stop()
	s.serving.Wait()
}

// stop ends a server as kill -9 does.
func (g *rig) stop(server string) { g.running[netip.MustParseAddr(server)].stop() }

// sender is an exporter's client of a node.
type sender struct {
	rendezvous *rendezvous
	metrics    pmetricotlp.GRPCClient
	conn       *grpc.ClientConn
}

func (g *rig) send(t *testing.T, cfg Config) *sender {
	t.Helper()
	return g.sendTo(t, cfg, fmt.Sprintf("%s:%d", name, g.port))
}

func (g *rig) sendTo(t *testing.T, cfg Config, endpoint string) *sender {
	t.Helper()
	factory := NewFactory()
	made, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := made.(*rendezvous)
	r.resolver = g.resolver
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	s := &sender{rendezvous: r}
	s.connect(t, endpoint)
	return s
}

// connect is what the collector does with the exporter's configuration.
func (s *sender) connect(t *testing.T, endpoint string) {
	t.Helper()
	id := component.MustNewID("rendezvous")
	client := configgrpc.NewDefaultClientConfig()
	client.Endpoint, client.TLS.Insecure = endpoint, true
	client.Middlewares = []configmiddleware.Config{{ID: id}}
	conn, err := client.ToClientConn(t.Context(), map[component.ID]component.Component{id: s.rendezvous}, componenttest.NewNopTelemetrySettings())
	if err != nil {
		t.Fatal(err)
	}
	s.conn, s.metrics = conn, pmetricotlp.NewGRPCClient(conn)
	t.Cleanup(func() { conn.Close() })
}

// export returns the address of the server that answers, which it waits for.
func (s *sender) export(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		answer, err := s.metrics.Export(ctx, pmetricotlp.NewExportRequest())
		if err == nil {
			return answer.PartialSuccess().ErrorMessage()
		}
		if ctx.Err() != nil {
			t.Fatal(errors.Join(err, errors.New("no server answers")))
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
