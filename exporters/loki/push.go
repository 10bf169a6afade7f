package loki

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// maxAnswerBytes bounds what is read of an answer. Loki lists every entry that
// its distributor refused; the beginning tells the limits.
const maxAnswerBytes = 64 << 10

// answer is Loki's reply to a push.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (a *answer) brief() string {
	s, _ := cutString(strings.TrimSpace(a.body), maxLoggedBytes)
	return s
}

func (a *answer) error() error { return fmt.Errorf("status %d: %s", a.code, a.brief()) }

// busy is the error of an answer that asks to come back, with the time to wait
// if it tells one.
func (a *answer) busy(url string, now time.Time) error {
	err := fmt.Errorf("push to %s: %w", url, a.error())
	if delay := retryAfter(a.header.Get("Retry-After"), now); delay > 0 {
		return exporterhelper.NewThrottleRetry(err, delay)
	}
	return err
}

// compress returns buf as a snappy block in memory of its own: the transport
// may still read a body after the answer came, so it cannot be used again.
func (e *encoder) compress() []byte {
	if n := s2.MaxEncodedLen(len(e.buf)); cap(e.compressed) < n {
		e.compressed = make([]byte, n)
	}
	return bytes.Clone(s2.EncodeSnappy(e.compressed[:cap(e.compressed)], e.buf))
}

// push makes one request. An error means that no whole answer came: it is not
// known whether Loki took the entries, and Loki drops those that come again.
func (x *logsExporter) push(ctx context.Context, tenant string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("make request for %s: %w", x.url, err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if tenant != "" {
		req.Header.Set(tenantHeader, tenant)
	}
	resp, err := x.client.Do(req)
	if err != nil {
		x.telemetry.requested(0, len(body))
		return answer{}, fmt.Errorf("push logs: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	x.telemetry.requested(resp.StatusCode, len(body))
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil && resp.StatusCode/100 != 2 {
		return answer{}, fmt.Errorf("push to %s: read answer to status %d: %w", x.url, resp.StatusCode, err)
	}
	return answer{code: resp.StatusCode, header: resp.Header, body: string(text)}, nil
}
