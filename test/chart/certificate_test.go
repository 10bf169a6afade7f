package chart

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"
	"time"
)

func parseCertificate(t *testing.T, secret object, key string) *x509.Certificate {
	t.Helper()
	encoded, _ := at(secret, "data", key).(string)
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatalf("decode %s of %s: %v", key, secret.name(), err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s of %s is no PEM", key, secret.name())
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatalf("parse %s of %s: %v", key, secret.name(), err)
	}
	return certificate
}

// verifyCertificates checks the chain of both certificates and returns the
// names that the aggregators' is for.
func verifyCertificates(t *testing.T, objects []object) []string {
	t.Helper()
	authority := parseCertificate(t, find(t, objects, "Secret", "crowsnest-ca"), "tls.crt")
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	var names []string
	for secret, usage := range map[string]x509.ExtKeyUsage{
		"crowsnest-agent-tls": x509.ExtKeyUsageClientAuth, "crowsnest-aggregator-tls": x509.ExtKeyUsageServerAuth,
	} {
		o := find(t, objects, "Secret", secret)
		if !parseCertificate(t, o, "ca.crt").Equal(authority) {
			t.Errorf("%s: ca.crt is not the authority", secret)
		}
		certificate := parseCertificate(t, o, "tls.crt")
		if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
		if !certificate.NotAfter.Before(authority.NotAfter) {
			t.Errorf("%s outlives its authority", secret)
		}
		checkExpiryAnnotation(t, o, certificate)
		if usage == x509.ExtKeyUsageServerAuth {
			names = certificate.DNSNames
		}
	}
	return names
}

// Renewal goes by the annotation: templates cannot read a certificate.
func checkExpiryAnnotation(t *testing.T, secret object, certificate *x509.Certificate) {
	t.Helper()
	text, _ := at(secret, "metadata", "annotations", "crowsnest.io/certificate-expires").(string)
	says, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Errorf("%s: annotation: %v", secret.name(), err)
	}
	if apart := says.Sub(certificate.NotAfter).Abs(); apart > time.Minute {
		t.Errorf("%s: the annotation says %s, the certificate %s", secret.name(), says, certificate.NotAfter)
	}
}
