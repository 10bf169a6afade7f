package prometheus

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const (
	// maxAnswerBytes is read of an answer's body; Prometheus lists every refused series.
	maxAnswerBytes = 64 << 10
	// maxRetryAfter bounds what an answer may ask for.
	maxRetryAfter = 10 * time.Minute
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
	err        error
}

// reason of a refusal.
func (a answer) reason() string {
	if a.status == http.StatusRequestEntityTooLarge {
		return reasonTooLarge
	}
	text := strings.ReplaceAll(strings.ToLower(a.err.Error()), "-", " ")
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

// client makes one request at a time: it keeps the last answer's status.
type client struct {
	api    *remote.API
	status *statusKeeper
	typ    remote.WriteMessageType
}

func newClient(endpoint, protocol string, hc *http.Client) (*client, error) {
	keeper := &statusKeeper{next: hc.Transport}
	own := *hc
	own.Transport = keeper
	typ := remote.WriteV1MessageType
	if protocol == ProtocolV2 {
		typ = remote.WriteV2MessageType
	}
	api, err := remote.NewAPI(endpoint, remote.WithAPIHTTPClient(&own), remote.WithAPIPath(""))
	if err != nil {
		return nil, err
	}
	return &client{api: api, status: keeper, typ: typ}, nil
}

// send makes exactly one attempt. The library would repeat it by itself, with
// limits of its own and knowing less about what is worth repeating; its callback
// before the first repetition ends that.
func (c *client) send(ctx context.Context, message any) answer {
	once, cancel := context.WithCancel(ctx)
	defer cancel()
	var cause error
	*c.status = statusKeeper{next: c.status.next}
	_, err := c.api.Write(once, c.typ, message, remote.WithWriteRetryCallback(func(err error) {
		if cause == nil {
			cause = err
		}
		cancel()
	}))
	if err == nil {
		return answer{status: c.status.code}
	}
	if cause != nil {
		err = cause
	}
	return answer{verdict: judge(c.status.code), status: c.status.code, retryAfter: c.status.retryAfter, err: err}
}

// judge says what an error means by its status. Only statuses by which
// receivers refuse data (409 is Thanos's) are final. The others mean that the
// data was not looked at: a wrong path, password or protocol, an overloaded
// receiver or none; those who run it can mend that and lose nothing.
func judge(status int) verdict {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return refused
	default:
		return unanswered
	}
}

// statusKeeper keeps of the last answer what the library does not tell, and
// bounds the body, which the library reads whole.
type statusKeeper struct {
	next       http.RoundTripper
	code       int
	retryAfter time.Duration
}

func (k *statusKeeper) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := k.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	k.code = resp.StatusCode
	k.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswerBytes), resp.Body}
	return resp, nil
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
