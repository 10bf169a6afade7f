package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
)

// Reason classes an error; its value is that of a label.
type Reason string

// Why objects could not be read.
const (
	Unauthorized Reason = "unauthorized" // 401, or no token: who we are was not accepted
	Forbidden    Reason = "forbidden"    // 403: we may not
	Timeout      Reason = "timeout"      // no answer in time
	Unreachable  Reason = "unreachable"  // no connection, or it was cut
	Expired      Reason = "expired"      // 410: the watch was too far behind; listed again
	TooLarge     Reason = "too_large"    // an object or an answer is beyond the bound
	Malformed    Reason = "malformed"    // the answer cannot be understood
	Refused      Reason = "refused"      // any other status than success
)

// Reasons lists every reason, so that each has a series from the beginning.
func Reasons() []Reason {
	return []Reason{Unauthorized, Forbidden, Timeout, Unreachable, Expired, TooLarge, Malformed, Refused}
}

var (
	// ErrTooLarge tells of more bytes than are read.
	ErrTooLarge = errors.New("larger than the bound")
	// ErrMalformed tells of what cannot be understood.
	ErrMalformed = errors.New("not what Kubernetes sends")
)

// StatusError is an answer other than 200 OK, or an event that says so.
type StatusError struct {
	Code int
	Body string // its beginning
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("answered %d %s: %q", e.Code, http.StatusText(e.Code), e.Body)
}

// HasStatus tells whether the server answered with one of the codes.
func HasStatus(err error, codes ...int) bool {
	var status *StatusError
	return errors.As(err, &status) && slices.Contains(codes, status.Code)
}

// ReasonOf classes an error.
func ReasonOf(err error) Reason {
	var network net.Error
	var file *fs.PathError
	switch {
	case HasStatus(err, http.StatusUnauthorized):
		return Unauthorized
	case HasStatus(err, http.StatusForbidden):
		return Forbidden
	case HasStatus(err, http.StatusGone):
		return Expired
	case errors.As(err, new(*StatusError)):
		return Refused
	case errors.As(err, &file): // the token's: without one nobody is asked
		return Unauthorized
	case errors.Is(err, ErrTooLarge):
		return TooLarge
	case errors.Is(err, ErrMalformed):
		return Malformed
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return Timeout
	}
	return Unreachable
}

// Remedy says what to do about an error of the reason. permission is what to
// grant, such as "list and watch on events".
func Remedy(reason Reason, permission string) string {
	switch reason {
	case Unauthorized:
		return "the API server does not accept the service account's token: check that it is mounted and not expired"
	case Forbidden:
		return "grant the service account " + permission
	case Timeout, Unreachable:
		return "check that the API server runs and that network policies let this program reach it"
	}
	return "check that the address is a Kubernetes API server's"
}

// transportError marks an error of reading, as opposed to one of what was read.
type transportError struct{ err error }

func (e transportError) Error() string { return e.err.Error() }
func (e transportError) Unwrap() error { return e.err }

// IsTransport tells of an error of reading, as opposed to one of what was read.
func IsTransport(err error) bool { return errors.As(err, new(transportError)) }

// transport marks an error of reading; an end is one in the middle.
func transport(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return transportError{err}
}

// AsMalformed marks an error as one of the content, unless reading failed.
func AsMalformed(err error) error {
	if err == nil || IsTransport(err) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// BoundedReader fails with ErrTooLarge after Left bytes, and marks the errors
// of what it reads from.
type BoundedReader struct {
	R    io.Reader
	Left int64
}

func (b *BoundedReader) Read(p []byte) (int, error) {
	if b.Left <= 0 {
		return 0, transportError{ErrTooLarge}
	}
	n, err := b.R.Read(p[:min(int64(len(p)), b.Left)])
	b.Left -= int64(n)
	if err != nil && err != io.EOF {
		err = transportError{err}
	}
	return n, err
}
