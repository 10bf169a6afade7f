package kubestate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// answerTimeout bounds the wait for an answer to begin, and a page of a list.
const answerTimeout = 60 * time.Second

// get asks for a URL. The caller closes the body. Any status but 200 is a
// *statusError.
func get(ctx context.Context, client *http.Client, url, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		return nil, transportError{err} // names the method and the URL
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	const enough = 512
	beginning, _ := io.ReadAll(io.LimitReader(resp.Body, enough)) // the status tells enough without it
	return nil, fmt.Errorf("get %s: %w", url, &statusError{code: resp.StatusCode, body: string(beginning)})
}

// statusError is an answer other than 200 OK, or an event that says so.
type statusError struct {
	code int
	body string // its beginning
}

func (e *statusError) Error() string {
	return fmt.Sprintf("answered %d %s: %q", e.code, http.StatusText(e.code), e.body)
}

// hasStatus tells whether the server answered with one of the codes.
func hasStatus(err error, codes ...int) bool {
	var status *statusError
	if !errors.As(err, &status) {
		return false
	}
	for _, code := range codes {
		if status.code == code {
			return true
		}
	}
	return false
}

// The reasons of errors, as in the label.
const (
	reasonUnauthorized = "unauthorized" // 401, or no token: who we are was not accepted
	reasonForbidden    = "forbidden"    // 403: we may not
	reasonTimeout      = "timeout"      // no answer in time
	reasonUnreachable  = "unreachable"  // no connection, or it was cut
	reasonExpired      = "expired"      // 410: the watch was too far behind; listed again
	reasonTooLarge     = "too_large"    // an object is beyond the bound
	reasonMalformed    = "malformed"    // the answer cannot be understood
	reasonStatus       = "status"       // any other status than success
	reasonValue        = "value"        // a custom resource has no value that its metric can have
)

// reasonOf classes an error.
func reasonOf(err error) string {
	var network net.Error
	var file *fs.PathError
	switch {
	case hasStatus(err, http.StatusUnauthorized):
		return reasonUnauthorized
	case hasStatus(err, http.StatusForbidden):
		return reasonForbidden
	case hasStatus(err, http.StatusGone):
		return reasonExpired
	case errors.As(err, new(*statusError)):
		return reasonStatus
	case errors.As(err, &file): // the token's: without one nobody is asked
		return reasonUnauthorized
	case errors.Is(err, errTooLarge):
		return reasonTooLarge
	case errors.Is(err, errMalformed):
		return reasonMalformed
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return reasonTimeout
	}
	return reasonUnreachable
}

// backoff is the pause before the next attempt: doubled with each failure in a
// row, never more than max, and spread so that a thousand nodes do not ask at once.
type backoff struct {
	min, max time.Duration
	failures int
}

func (b *backoff) next() time.Duration {
	pause := b.max
	if b.failures < 16 {
		pause = min(b.min<<b.failures, b.max)
	}
	b.failures++
	return spread(pause)
}

// spread returns between half and all of d.
func spread(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// pause waits, and reports whether ctx is still alive then.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
