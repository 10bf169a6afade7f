package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The outcomes of a scrape, values of the label "outcome".
const (
	outcomeOK           = "ok"
	outcomeToken        = "token"        // the token file cannot be read
	outcomeConnect      = "connect"      // no connection
	outcomeTLS          = "tls"          // no trust in the connection
	outcomeTimeout      = "timeout"      // no whole answer in time
	outcomeUnauthorized = "unauthorized" // 401
	outcomeForbidden    = "forbidden"    // 403
	outcomeStatus       = "status"       // another status than 200
	outcomeContent      = "content"      // not an exposition page
	outcomeTooLarge     = "too_large"    // more than max_body_bytes
	outcomeRead         = "read"         // the answer broke off
	outcomeMalformed    = "malformed"    // a line that is not in the format
)

// failure is a scrape that gave no page.
type failure struct {
	outcome string
	err     error
	remedy  string // what to do about it; may be empty
}

func (f *failure) Error() string {
	if f.remedy == "" {
		return f.err.Error()
	}
	return f.err.Error() + "; " + f.remedy
}

func (f *failure) Unwrap() error { return f.err }

// requestFailure sorts the errors of an HTTP exchange by what helps.
func requestFailure(err error, timeout time.Duration) *failure {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		network   net.Error
		operation *net.OpError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &failure{outcomeTimeout, fmt.Errorf("hangs: no whole answer within %v: %w", timeout, err),
			"look at the kubelet's load and at network policies, or raise timeout (at most collection_interval)"}
	case errors.As(err, &authority):
		return &failure{outcomeTLS, fmt.Errorf("distrust the kubelet's certificate: %w", err),
			"name the CA that signed it in tls.ca_file, or, if the kubelet signed it itself (no serverTLSBootstrap), set tls.insecure_skip_verify: true"}
	case errors.As(err, &hostname):
		return &failure{outcomeTLS, fmt.Errorf("distrust the kubelet's certificate: %w", err),
			"use in endpoint an address that the certificate names, or set tls.server_name_override to a name that it has"}
	case errors.As(err, &invalid), errors.As(err, &verify):
		return &failure{outcomeTLS, fmt.Errorf("distrust the kubelet's certificate: %w", err),
			"renew the certificate and check both clocks"}
	case errors.As(err, &operation) && operation.Op == "remote error": // a TLS alert, whose type crypto/tls does not export
		return &failure{outcomeTLS, fmt.Errorf("the kubelet refused the TLS handshake: %w", err),
			"check tls.cert_file and tls.key_file against the kubelet's client CA"}
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return &failure{outcomeTLS, fmt.Errorf("speak TLS: %w", err), "the port answers without TLS; check endpoint"}
	case errors.As(err, &operation) && operation.Op == "dial":
		return &failure{outcomeConnect, err, "check endpoint and that the kubelet runs and listens there"}
	}
	return &failure{outcomeRead, err, "the connection broke off; if that goes on, look at the kubelet's log (it may refuse tls.cert_file)"}
}

// statusFailure explains an answer other than 200. said is the beginning of its body.
func statusFailure(status int, text, said string) *failure {
	err := fmt.Errorf("answered %s", text)
	if said != "" {
		err = fmt.Errorf("answered %s: %q", text, said)
	}
	switch status {
	case http.StatusUnauthorized:
		return &failure{outcomeUnauthorized, err,
			"the kubelet does not accept the token or certificate: check token_file (or tls.cert_file) and that the kubelet has webhook authentication on (authentication.webhook.enabled)"}
	case http.StatusForbidden:
		return &failure{outcomeForbidden, err,
			`the identity is known but lacks permission: grant its service account "get" on "nodes/metrics"`}
	case http.StatusNotFound:
		return &failure{outcomeStatus, err, "this kubelet has no such page; take it out of paths"}
	}
	return &failure{outcomeStatus, err, ""}
}
