package prometheus

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const (
	// maxAnswerBytes is read of an answer's body; Prometheus lists every series
	// that it refuses of a v2 request, with its labels.
	maxAnswerBytes = 2 * maxRequestBytes
	// maxRetryAfter bounds what an answer may ask for.
	maxRetryAfter = 10 * time.Minute

	contentTypeV1 = "application/x-protobuf"
	contentTypeV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"

	writtenSamples    = "X-Prometheus-Remote-Write-Samples-Written"
	writtenHistograms = "X-Prometheus-Remote-Write-Histograms-Written"
)

// Reasons of remote write for refusing a sample, as the receiver's text has
// them; other texts are ledger.ReasonRejected.
const (
	reasonOutOfOrder       = "out_of_order"
	reasonDuplicate        = "duplicate_timestamp"
	reasonTooOld           = "too_old"
	reasonOutOfBounds      = "out_of_bounds"
	reasonInvalidHistogram = "invalid_histogram"
	reasonTooLarge         = "too_large"
)

// verdict is what one request's answer means for its samples.
type verdict uint8

const (
	accepted   verdict = iota
	refused            // sending the same again will be refused again
	unanswered         // to be sent again
)

// answer is what came back for one request.
type answer struct {
	verdict    verdict
	status     int // 0: none
	retryAfter time.Duration
	err        error  // nil if accepted
	text       string // of the body, if not accepted
	// confirmed: written, the number of samples that the receiver took, is known.
	confirmed bool
	written   int
}

// reason of a refusal.
func (a answer) reason() string {
	if a.status == http.StatusRequestEntityTooLarge {
		return reasonTooLarge
	}
	return reasonOf(a.text)
}

// reasonOf finds the reason in a receiver's text.
func reasonOf(text string) string {
	text = strings.ReplaceAll(strings.ToLower(text), "-", " ")
	for _, r := range [...]struct{ part, reason string }{
		{"out of order", reasonOutOfOrder},
		{"duplicate sample", reasonDuplicate},
		{"too old", reasonTooOld},
		{"out of bounds", reasonOutOfBounds},
		{"too far in the future", reasonOutOfBounds},
		{"histogram", reasonInvalidHistogram},
	} {
		if strings.Contains(text, r.part) {
			return r.reason
		}
	}
	return ledger.ReasonRejected
}

// code is the value of the label "code" of the request counter.
func (a answer) code() string {
	if a.status == 0 {
		return "none"
	}
	return strconv.Itoa(a.status)
}

// client makes requests.
type client struct {
	endpoint string
	http     *http.Client
}

// send makes one attempt with a message of the given protocol; repetition is the
// number of those before.
func (c *client) send(ctx context.Context, protocol string, compressed []byte, repetition int) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(compressed))
	if err != nil {
		return answer{verdict: unanswered, err: err} // the endpoint was checked by Validate
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", contentTypeV1)
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	if protocol == ProtocolV2 {
		req.Header.Set("Content-Type", contentTypeV2)
		req.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	}
	if repetition > 0 {
		req.Header.Set("Retry-Attempt", strconv.Itoa(repetition))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{verdict: unanswered, err: err}
	}
	defer resp.Body.Close()
	return readAnswer(resp, protocol)
}

func readAnswer(resp *http.Response, protocol string) answer {
	a := answer{
		status: resp.StatusCode, verdict: judge(resp.StatusCode),
		retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	switch {
	case err != nil:
		// The status alone is not believed: what cut the answer may have made it.
		a.verdict, a.err = unanswered, fmt.Errorf("read answer %s: %w", resp.Status, err)
		return a
	case a.verdict != accepted:
		a.text = string(text)
		a.err = fmt.Errorf("answer %s: %s", resp.Status, cut(a.text))
	}
	if protocol != ProtocolV2 {
		return a
	}
	a.readWritten(resp.Header)
	if a.verdict == accepted && !a.confirmed {
		// As a receiver of v1 answers that does not look at the content type: it
		// found nothing in the message.
		a.verdict = unanswered
		a.err = fmt.Errorf("answer %s lacks %s: the receiver does not know remote write v2", resp.Status, writtenSamples)
	}
	return a
}

// readWritten reads how much of a v2 request was taken.
func (a *answer) readWritten(h http.Header) {
	for _, name := range [...]string{writtenSamples, writtenHistograms} {
		text := h.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			a.confirmed = false
			return
		}
		a.confirmed = true
		a.written += n
	}
}

// judge says what an answer means by its status. Only statuses by which
// receivers refuse data (409 is Thanos's) are final. The others mean that the
// data was not looked at: a wrong path, password or protocol, an overloaded
// receiver or none; those who run it can mend that and lose nothing.
func judge(status int) verdict {
	switch status {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return accepted
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return refused
	default:
		return unanswered
	}
}

// parseRetryAfter reads seconds or an HTTP date; 0 for neither.
func parseRetryAfter(s string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(s); err == nil {
		return clampRetryAfter(time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second)
	}
	if at, err := http.ParseTime(s); err == nil {
		return clampRetryAfter(at.Sub(now))
	}
	return 0
}

func clampRetryAfter(d time.Duration) time.Duration { return max(0, min(d, maxRetryAfter)) }
