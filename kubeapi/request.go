package kubeapi

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// AnswerTimeout bounds the wait for an answer to begin, and a page of a list.
const AnswerTimeout = 60 * time.Second

// Get asks for a URL. The caller closes the body. Any status but 200 is a
// *StatusError.
func Get(ctx context.Context, client *http.Client, url, accept string) (*http.Response, error) {
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
	return nil, fmt.Errorf("get %s: %w", url, &StatusError{Code: resp.StatusCode, Body: string(beginning)})
}

// Backoff is the pause before the next attempt: doubled with each failure in a
// row, never more than Max, and spread so that a thousand nodes do not ask at once.
type Backoff struct {
	Min, Max time.Duration
	failures int
}

// Next is the pause after one more failure.
func (b *Backoff) Next() time.Duration {
	pause := b.Max
	if b.failures < 16 {
		pause = min(b.Min<<b.failures, b.Max)
	}
	b.failures++
	return Spread(pause)
}

// Reset begins anew after a success.
func (b *Backoff) Reset() { b.failures = 0 }

// Spread returns between half and all of d.
func Spread(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// Pause waits, and reports whether ctx is still alive then.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
