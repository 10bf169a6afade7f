package kubemeta

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// Bounds of what is read from a server.
const (
	// maxListBytes bounds a pod list: 500 pods of 64 KiB, while real ones have about 6.
	maxListBytes = 32 << 20
	// maxEventBytes bounds one event of a watch; etcd refuses objects beyond 1.5 MiB.
	maxEventBytes = 8 << 20
	// answerTimeout bounds a list, and the wait for a watch to begin.
	answerTimeout = 30 * time.Second
)

// get asks for a URL. The caller closes the body. Any status but 200 is a
// *statusError.
func get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err // names the method and the URL
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	const enough = 512
	beginning, _ := io.ReadAll(io.LimitReader(resp.Body, enough)) // the status tells enough without it
	return nil, fmt.Errorf("get %s: %w", url, &statusError{code: resp.StatusCode, body: string(beginning)})
}

// getList asks for a pod list and reads it whole within answerTimeout.
func getList(ctx context.Context, client *http.Client, url string) (PodList, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := get(ctx, client, url)
	if err != nil {
		return PodList{}, err
	}
	defer resp.Body.Close()
	list, err := DecodePodList(&boundedReader{r: resp.Body, left: maxListBytes})
	if err != nil {
		return PodList{}, fmt.Errorf("get %s: %w", url, err)
	}
	return list, nil
}

// checkItems tells of items that were not understood whole.
func (l *PodList) checkItems() error {
	if l.Malformed == 0 {
		return nil
	}
	return fmt.Errorf("decode pod list: %d of its items: %w", l.Malformed, errMalformed)
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

// sweepUntil forgets expired tombstones while the source has nothing to tell.
func (c *Cache) sweepUntil(ctx context.Context) {
	for pause(ctx, time.Minute) {
		c.Sweep()
	}
}
