//go:build e2e

package leader

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
)

func kubeconfig(t *testing.T, s *apiserver.Server, c *rest.Config) string {
	t.Helper()
	file, err := s.Kubeconfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func settings(file, identity string) map[string]any {
	return map[string]any{"lease": "crowsnest", "namespace": "default", "identity": identity,
		"lease_duration": "6s", "kubeconfig": file}
}

// proxy stands between a replica and the API server and can be cut.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	isCut    bool
	wg       sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn, to) })
		}
	})
	t.Cleanup(func() { l.Close(); p.cut(); p.wg.Wait() })
	return p
}

func (p *proxy) serve(conn net.Conn, to string) {
	defer conn.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.add(conn, server) {
		return
	}
	var wg sync.WaitGroup
	for _, pair := range [][2]net.Conn{{conn, server}, {server, conn}} {
		wg.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // ends by the cut
			conn.Close()
			server.Close()
		})
	}
	wg.Wait()
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	return !p.isCut
}

// cut ends all connections, and those to come.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isCut = true
	for _, c := range p.conns {
		c.Close()
	}
}

func TestOneLeadsAtATimeOnARealAPIServer(t *testing.T) {
	server := apiserver.Test(t)
	var now, worst atomic.Int32
	works := [3]*work{}
	for i, name := range []string{"a", "b", "c"} {
		works[i] = &work{name: name, now: &now, worst: &worst}
	}

	// a reaches the API server by a line that will be cut.
	cuttable := newProxy(t, strings.TrimPrefix(server.URL(), "https://"))
	behind := server.Config()
	behind.Host = "https://" + cuttable.listener.Addr().String()
	fileA := kubeconfig(t, server, behind)
	a := start(t, settings(fileA, "a"), works[0])
	eventually(t, "a leads", works[0].leads.Load)

	direct := kubeconfig(t, server, server.Config())
	b := start(t, settings(direct, "b"), works[1])
	cuttable.cut()
	eventually(t, "b takes over from a, which cannot renew", works[1].leads.Load)
	if works[0].leads.Load() {
		t.Error("a still leads")
	}
	if n := a.logs.FilterMessageSnippet("Lease cannot be read or written").Len(); n == 0 || n > 2 { // each, once
		t.Errorf("a says: %v", a.logs.All())
	}

	start(t, settings(direct, "c"), works[2])
	b.stop() // as receivers end before extensions do
	began := time.Now()
	if err := b.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c takes over from b, which gave the lease back", works[2].leads.Load)
	t.Logf("an orderly end hands over within %v", time.Since(began))
	if worst.Load() != 1 {
		t.Errorf("%d led at once", worst.Load())
	}
}

func TestForbiddenIsToldWithRemedy(t *testing.T) {
	server := apiserver.Test(t)
	w := &work{now: new(atomic.Int32), worst: new(atomic.Int32)}
	r := start(t, settings(kubeconfig(t, server, server.NobodyConfig()), "a"), w)
	eventually(t, "it is told", func() bool {
		for _, entry := range r.logs.All() {
			if remedy, _ := entry.ContextMap()["remedy"].(string); strings.HasPrefix(remedy, "grant the service account get, create and update on leases") {
				return true
			}
		}
		return false
	})
	if w.terms.Load() != 0 {
		t.Error("it leads without a lease")
	}
}
