package statuspage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
)

// certificates are a CA's and one that it signed for a server and a client.
type certificates struct{ ca, cert, key string }

func makeCertificates(t *testing.T) certificates {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return certificates{write("ca.crt", "CERTIFICATE", caDER), write("tls.crt", "CERTIFICATE", der), write("tls.key", "EC PRIVATE KEY", keyDER)}
}

// With a client CA whoever has no certificate sees nothing; peers have one.
func TestClientCertificates(t *testing.T) {
	c := makeCertificates(t)
	secured := func(cfg *Config) {
		cfg.Server.TLS = configoptional.Some(configtls.ServerConfig{
			ClientCAFile: c.ca, Config: configtls.Config{CertFile: c.cert, KeyFile: c.key}})
		cfg.Peers.TLS = configtls.ClientConfig{Config: configtls.Config{CAFile: c.ca, CertFile: c.cert, KeyFile: c.key}}
	}
	_, other := startPage(t, func(cfg *Config) { secured(cfg); cfg.Replica = "aggregator-1" })
	_, port, err := net.SplitHostPort(other)
	if err != nil {
		t.Fatal(err)
	}
	_, address := startPage(t, func(cfg *Config) { secured(cfg); cfg.Peers.Endpoint = "https://localhost:" + port })

	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	for name, certificates := range map[string][]tls.Certificate{"stranger": nil, "friend": {pair}} {
		p := newPerson(t, address)
		p.base = "https://" + address
		p.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates}, DisableKeepAlives: true}
		if name == "stranger" {
			resp, err := p.client.Get(p.base + "/api/v1/status")
			if err == nil {
				resp.Body.Close()
				t.Errorf("a stranger gets %d", resp.StatusCode)
			}
			continue
		}
		s := statusOf(t, p)
		named := 0
		for _, r := range s.Replicas {
			if r.Error != "" {
				t.Errorf("peer at %s: %s", r.Address, r.Error)
			}
			if r.Name == "aggregator-1" {
				named++
			}
		}
		if named != 1 {
			t.Errorf("replicas %+v", s.Replicas)
		}
	}
}
