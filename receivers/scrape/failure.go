package scrape

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// The outcomes of a scrape, values of the label "outcome".
const (
	outcomeOK           = "ok"
	outcomeCredentials  = "credentials"  // a token or certificate file cannot be read
	outcomeConnect      = "connect"      // no connection
	outcomeTLS          = "tls"          // no trust in the connection
	outcomeTimeout      = "timeout"      // no whole answer in time
	outcomeUnauthorized = "unauthorized" // 401
	outcomeForbidden    = "forbidden"    // 403
	outcomeStatus       = "status"       // another status than 200
	outcomeContent      = "content"      // not an exposition page
	outcomeBodyLimit    = "body_size_limit"
	outcomeSampleLimit  = "sample_limit"
	outcomeLabelLimit   = "label_limit"
	outcomeTargetLimit  = "target_limit"
	outcomeMemory       = "memory"    // the bound that all targets share
	outcomeRead         = "read"      // the answer broke off
	outcomeMalformed    = "malformed" // a line that is not in the format
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

func outcomeOf(err error) string {
	var f *failure
	switch {
	case err == nil:
		return outcomeOK
	case errors.As(err, &f):
		return f.outcome
	}
	return outcomeRead
}

// requestFailure sorts the errors of an HTTP exchange by what helps.
func requestFailure(err error, timeout time.Duration) *failure {
	var (
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		record    tls.RecordHeaderError
		network   net.Error
		operation *net.OpError
		path      *os.PathError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &failure{outcomeTimeout, fmt.Errorf("no whole answer within %v: %w", timeout, err), "look at the target's load and at network policies, or raise the timeout"}
	case errors.As(err, &verify), errors.As(err, &authority), errors.As(err, &hostname):
		return &failure{outcomeTLS, fmt.Errorf("distrust the target's certificate: %w", err), "name its CA and server name in the TLS settings"}
	case errors.As(err, &operation) && operation.Op == "remote error":
		return &failure{outcomeTLS, fmt.Errorf("the target refused the TLS handshake: %w", err), "check the client certificate"}
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return &failure{outcomeTLS, fmt.Errorf("speak TLS: %w", err), "the port answers without TLS; check scheme"}
	case errors.As(err, &operation) && operation.Op == "dial":
		return &failure{outcomeConnect, err, "check that the target runs and listens on that address, and network policies"}
	case errors.As(err, &path):
		return &failure{outcomeCredentials, err, "check that the file is mounted and readable"}
	}
	return &failure{outcomeRead, err, ""}
}

// statusFailure explains an answer other than 200.
func statusFailure(status int, text string) *failure {
	err := fmt.Errorf("answered %s", text)
	switch status {
	case http.StatusUnauthorized:
		return &failure{outcomeUnauthorized, err, "the target does not accept the token or certificate, or wants one"}
	case http.StatusForbidden:
		return &failure{outcomeForbidden, err, `the identity is known but lacks permission: for Kubernetes components grant its service account "get" on the URL "/metrics"`}
	case http.StatusNotFound:
		return &failure{outcomeStatus, err, "check the path"}
	}
	return &failure{outcomeStatus, err, ""}
}
