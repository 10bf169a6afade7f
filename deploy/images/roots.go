package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// rootCertificates is Mozilla's list of certificate authorities as PEM. It comes
// from a Go module, pinned in go.sum, rather than from the machine's
// ca-certificates, so that every machine builds the same image and `go get`
// updates it. It is a file in the image rather than linked into the programs, so
// that a mount replaces it.
//
// Authorities that Mozilla trusts only for certificates issued before some date
// are left out: a PEM file cannot say so.
func rootCertificates() ([]byte, error) {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, fmt.Errorf("parse root certificate: %w", err)
		}
		fmt.Fprintf(&b, "# %s\n", certificate.Subject)
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, fmt.Errorf("encode root certificate: %w", err)
		}
	}
	return b.Bytes(), nil
}
