package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func certificate(t *testing.T, end time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestExpiry(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	chain := append(append(key, certificate(t, end)...), certificate(t, end.AddDate(9, 0, 0))...)
	path := write("tls.crt", chain)
	tel := componenttest.NewTelemetry()
	defer tel.Shutdown(t.Context())
	set := extension.Settings{ID: component.NewID(NewFactory().Type()), TelemetrySettings: tel.NewTelemetrySettings()}
	e, err := NewFactory().Create(t.Context(), set, &Config{Files: map[string]string{
		"client": path, "gone": filepath.Join(dir, "none"), "garbage": write("garbage", []byte("x")),
		"broken": write("broken", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	want := func(end time.Time) {
		t.Helper()
		m, err := tel.GetMetric("crowsnest_certificate_expiry_timestamp")
		if err != nil {
			t.Fatal(err)
		}
		points := m.Data.(metricdata.Gauge[float64]).DataPoints
		if len(points) != 1 || points[0].Value != float64(end.Unix()) {
			t.Errorf("%v, want one point at %d", points, end.Unix())
		}
	}
	want(end)
	renewed := end.AddDate(1, 0, 0)
	write("tls.crt", certificate(t, renewed))
	want(renewed)
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
