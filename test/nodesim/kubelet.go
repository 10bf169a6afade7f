package nodesim

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is how the kubelet misbehaves.
type Fault int32

// Faults that Node.SetFault takes.
const (
	NoFault      Fault = iota
	Unauthorized       // 401, as after the token was rotated away
	ServerError        // 500
	Hang               // accepts, never answers
	Disconnect         // closes the connection in the middle of the answer
)

// SetFault makes all of the kubelet's endpoints misbehave until the next call.
func (n *Node) SetFault(f Fault) {
	n.kubelet.fault.Store(int32(f))
	if f == NoFault {
		n.kubelet.releaseHung()
	}
}

// kubelet serves the endpoints that an agent reads.
type kubelet struct {
	url    string
	token  string
	server *http.Server
	served sync.WaitGroup
	fault  atomic.Int32

	mu   sync.Mutex
	hung chan struct{} // closed to let hanging requests go
}

func startKubelet(n *Node, token string) (*kubelet, error) {
	ca, cert, err := newCertificate()
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	if err := os.WriteFile(n.CAFile, ca, 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(n.TokenFile, []byte(token), 0o600); err != nil {
		return nil, err
	}
	pages, err := loadPages()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &kubelet{url: "https://" + listener.Addr().String(), token: token, hung: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	mux.HandleFunc("GET /pods", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// Only the connection can fail, and then nobody reads the answer.
		_ = json.NewEncoder(w).Encode(n.podList())
	})
	for path, page := range pages {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
			_, _ = w.Write(page.render(n, time.Now()))
		})
	}
	k.server = &http.Server{
		Handler:           k.guard(mux),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes that the client gave up
	}
	k.served.Go(func() { _ = k.server.ServeTLS(listener, "", "") })
	return k, nil
}

// guard asks for the token and plays the fault.
func (k *kubelet) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := Fault(k.fault.Load())
		given := []byte(r.Header.Get("Authorization"))
		if fault == Unauthorized || subtle.ConstantTimeCompare(given, []byte("Bearer "+k.token)) != 1 {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		switch fault {
		case ServerError:
			http.Error(w, "Internal Error: injected", http.StatusInternalServerError)
		case Hang:
			k.mu.Lock()
			hung := k.hung
			k.mu.Unlock()
			select {
			case <-hung:
			case <-r.Context().Done():
			}
		case Disconnect:
			w.Header().Set("Content-Length", "1000000")
			_, _ = io.WriteString(w, "# HELP ")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (k *kubelet) releaseHung() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.hung)
	k.hung = make(chan struct{})
}

func (k *kubelet) Close() error {
	k.releaseHung()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := k.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = k.server.Close()
	}
	k.served.Wait()
	return err
}
