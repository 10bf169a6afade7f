package system

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	_ "go.opentelemetry.io/collector/config/configgrpc" // registers zstd, as OTLP endpoints do
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/process"
)

// otlpEndpoint is any program that takes OTLP logs.
type otlpEndpoint struct {
	plogotlp.UnimplementedGRPCServer
	mu    sync.Mutex
	lines map[string]int // by container
}

func (e *otlpEndpoint) Export(_ context.Context, req plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range req.Logs().ResourceLogs().All() {
		container, _ := r.Resource().Attributes().Get("k8s.container.name")
		for _, s := range r.ScopeLogs().All() {
			e.lines[container.Str()] += s.LogRecords().Len()
		}
	}
	return plogotlp.NewExportResponse(), nil
}

// One fragment and one variable or two: the agent tails a folder laid out like
// /var/log/pods and sends to any OTLP endpoint, with no Kubernetes at hand.
func TestLogsFragmentRunsWithoutKubernetes(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := &otlpEndpoint{lines: map[string]int{}}
	server := grpc.NewServer()
	plogotlp.RegisterGRPCServer(server, endpoint)
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })

	dir := t.TempDir()
	pods := filepath.Join(dir, "pods", "shop_web-0_11111111-2222-3333-4444-555555555555", "web")
	if err := os.MkdirAll(pods, 0o755); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("2026-11-23T04:58:12.833457063Z stdout F hello\n", 1000)
	if err := os.WriteFile(filepath.Join(pods, "0.log"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.yaml")
	if err := os.WriteFile(overlay, []byte("exporters: {otlp_grpc/aggregator: {endpoint: "+listener.Addr().String()+"}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ports, err := addresses(4)
	if err != nil {
		t.Fatal(err)
	}
	_, file, _, _ := runtime.Caller(0)
	host, port, _ := net.SplitHostPort(ports[3])
	p, err := process.Start(t.Context(), process.Options{
		Name: agentName, Path: filepath.Join(filepath.Dir(file), "..", "..", "bin", agentName),
		Args: []string{"--config", "embedded:agent/logs", "--config", overlay},
		Env: []string{"CROWSNEST_POD_LOGS=" + filepath.Join(dir, "pods"), "CROWSNEST_DATA_DIR=" + filepath.Join(dir, "data"),
			"CROWSNEST_HEALTH_ENDPOINT=" + ports[0], "CROWSNEST_ZPAGES_ENDPOINT=" + ports[1], "CROWSNEST_PPROF_ENDPOINT=" + ports[2],
			"CROWSNEST_METRICS_HOST=" + host, "CROWSNEST_METRICS_PORT=" + port},
		LogPath: filepath.Join(dir, "agent.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	var got int
	eventuallyOr(t, func() bool {
		endpoint.mu.Lock()
		defer endpoint.mu.Unlock()
		got = endpoint.lines["web"]
		return got == 1000
	}, func() string { return "lines did not arrive; agent: " + string(p.LogTail()) })
}

// The mtls fragments on both sides: data flows, and who has no certificate is
// turned away.
func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	pool := writeCertificates(t, dir)
	env := []string{"CROWSNEST_CA_FILE=" + filepath.Join(dir, "ca.crt"), "CROWSNEST_CERT_FILE=" + filepath.Join(dir, "tls.crt"), "CROWSNEST_KEY_FILE=" + filepath.Join(dir, "tls.key")}
	s := startSystem(t, Options{MetricsInterval: time.Second,
		Node:         nodesim.Config{Pods: 5, LinesPerSecond: 100, TracesPerSecond: 1, Seed: 5},
		AgentConfigs: []string{"embedded:agent/mtls"}, AgentEnv: env,
		AggregatorConfigs: []string{"embedded:aggregator/mtls"}, AggregatorEnv: env})
	eventually(t, func() bool {
		found, _, err := s.FoundLines(t.Context())
		return err == nil && found > 200
	})
	for name, creds := range map[string]credentials.TransportCredentials{
		"plain text":     insecure.NewCredentials(),
		"no certificate": credentials.NewClientTLSFromCert(pool, ""),
	} {
		conn, err := grpc.NewClient(s.otlp, grpc.WithTransportCredentials(creds))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := plogotlp.NewGRPCClient(conn).Export(ctx, plogotlp.NewExportRequest()); err == nil {
			t.Errorf("%s: the aggregator took data", name)
		}
		cancel()
		conn.Close()
	}
	drainAll(t, s)
}

// writeCertificates writes a CA and one certificate for both ends on loopback.
func writeCertificates(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	sign := func(c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca, caKey := template(1, "test CA"), newKey()
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	leaf, leafKey := template(2, "crowsnest"), newKey()
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	caDER := sign(ca, ca, caKey, caKey)
	write("ca.crt", "CERTIFICATE", caDER)
	write("tls.crt", "CERTIFICATE", sign(leaf, ca, leafKey, caKey))
	keyDER, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	write("tls.key", "EC PRIVATE KEY", keyDER)
	parsed, err := x509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}
