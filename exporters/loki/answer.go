package loki

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// Reasons for records that Loki refused for good, after the names that Loki
// gives in its own loki_discarded_samples_total.
const (
	reasonTooFarBehind = "too_far_behind"
	reasonOutOfOrder   = "out_of_order"
	reasonTooOld       = "greater_than_max_sample_age"
	reasonTooNew       = "too_far_in_future"
	reasonLineTooLong  = "line_too_long"
	reasonLabels       = "invalid_labels"
	reasonMetadata     = "structured_metadata"
	reasonBlocked      = "blocked_ingestion"
	reasonTooLarge     = "request_too_large"
	reasonRejected     = ledger.ReasonRejected
)

// outcome is what to do after a push.
type outcome int

const (
	accepted   outcome = iota
	refused            // for good, all or a part of it
	tooLarge           // as one request
	busy               // for now; the same push may succeed later
	streamBusy         // for now, because of one stream
	misled             // by configuration; nothing succeeds until someone changes it
)

// codeBlocked is Loki's default answer of a tenant whose ingestion its operator
// blocked (block_ingestion_status_code): no error for the client, no log kept.
const codeBlocked = 260

// judge reads Loki's answer to a push. advice is set for misled, and for
// streamBusy if waiting alone may not help.
func judge(code int, header http.Header, body string) (o outcome, advice string) {
	switch {
	case code == codeBlocked:
		return refused, ""
	case code >= 200 && code < 300:
		if strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			return misled, "a web page answered: endpoint does not lead to Loki's push API"
		}
		return accepted, ""
	case code >= 300 && code < 400:
		return misled, "redirected to " + strconv.Quote(header.Get("Location")) + ": set endpoint to where Loki itself is"
	case code == http.StatusRequestEntityTooLarge, code >= 500 && strings.Contains(body, "received message larger than max"):
		return tooLarge, ""
	case code >= 500:
		return busy, ""
	}
	return judgeClientError(code, header, body)
}

func judgeClientError(code int, header http.Header, body string) (outcome, string) {
	switch code {
	case http.StatusTooManyRequests:
		switch {
		case strings.Contains(body, "maximum active stream limit exceeded"):
			return streamBusy, "raise limits_config.max_global_streams_per_user in Loki, or take a label away"
		case strings.Contains(body, "Per stream rate limit exceeded"):
			return streamBusy, ""
		}
		return busy, ""
	case http.StatusRequestTimeout, http.StatusTooEarly, 499:
		return busy, ""
	case http.StatusUnauthorized:
		if strings.Contains(body, "no org id") {
			return misled, "Loki has auth_enabled: set tenant"
		}
		return misled, "set auth, or the password in headers"
	case http.StatusForbidden:
		return misled, "allow this client to push to the tenant, or correct tenant or auth"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return misled, "correct endpoint: Loki's push path is " + pushPath
	case http.StatusProxyAuthRequired:
		return misled, "set proxy_url with user and password"
	case http.StatusUnsupportedMediaType:
		return misled, "this Loki does not take protobuf with snappy at endpoint"
	}
	switch {
	case strings.HasPrefix(header.Get("Content-Type"), "text/html"):
		return misled, "a proxy answered before Loki could: correct endpoint or the proxy"
	case strings.Contains(body, "HTTP request to an HTTPS server"):
		return misled, "write https:// in endpoint"
	case strings.Contains(body, "no org id"):
		return misled, "Loki has auth_enabled: set tenant"
	case strings.HasPrefix(body, "tenant ID"):
		return misled, "correct tenant or tenants"
	case strings.Contains(body, "includes structured metadata, but this feature is disallowed"):
		return misled, "set limits_config.allow_structured_metadata: true in Loki (it needs schema v13)"
	}
	return refused, ""
}

// maxRetryAfter bounds what a store may ask for.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads a Retry-After header: seconds or an HTTP date; 0 if none.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if t, err := http.ParseTime(value); err == nil {
		return min(max(0, t.Sub(now)), maxRetryAfter)
	}
	return 0
}

// refusal is what Loki's text tells about the entries that it did not take.
// Its distributor lists all of them and has stored the others; its ingester
// tells about one stream.
type refusal struct {
	reason string
	text   string // its beginning

	tooOld      int64 // entries before this time in nanoseconds are too old
	tooNew      int64 // entries from this time on are too new
	lineBytes   int   // longer lines are too long; 0: not told
	behind      int   // the first so many of a stream's entries are too far behind
	of          int   // so many entries of the stream that were seen
	wholeStream bool  // none of the stream is welcome
}

const maxLoggedBytes = 400

// A text quotes stream labels, which may come from a pod. So a limit is only
// believed where no live log would be hit by a false one; entries that no
// believed limit explains are found by bisecting.
const (
	minAgeTooOld    = time.Hour
	minAheadTooNew  = time.Minute
	minMaxLineBytes = 4 << 10
)

// readRefusal parses the body of a 400, as far as it is known.
func readRefusal(code int, body string, now time.Time) refusal {
	r := refusal{tooNew: math.MaxInt64}
	r.text, _ = cutString(strings.TrimSpace(body), maxLoggedBytes)
	r.readTimes(body)
	if r.tooOld > now.Add(-minAgeTooOld).UnixNano() {
		r.tooOld = 0
	}
	if r.tooNew < now.Add(minAheadTooNew).UnixNano() {
		r.tooNew = math.MaxInt64
	}
	if r.lineBytes < minMaxLineBytes {
		r.lineBytes = 0
	}
	r.readBehind(body)
	switch {
	case code == codeBlocked:
		r.reason, r.wholeStream = reasonBlocked, true
	case r.of > 0:
		r.reason = reasonTooFarBehind
	case strings.Contains(body, "entry too far behind"):
		r.reason = reasonTooFarBehind
	case strings.Contains(body, "entry out of order"):
		r.reason = reasonOutOfOrder
	case strings.Contains(body, "has timestamp too old"):
		r.reason = reasonTooOld
	case strings.Contains(body, "has timestamp too new"):
		r.reason = reasonTooNew
	case strings.Contains(body, "max entry size"):
		r.reason = reasonLineTooLong
	case strings.Contains(body, "structured metadata"):
		r.reason = reasonMetadata
	case hasAny(body, "label name", "label value", "error parsing labels", "missing required labels", "at least one label pair"):
		r.reason, r.wholeStream = reasonLabels, true
	default:
		r.reason = reasonRejected
	}
	return r
}

func hasAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// readTimes reads the distributor's limits (pkg/validation/validate.go):
//
//	entry for stream '…' has timestamp too old: …, oldest acceptable timestamp is: T
//	entry for stream '…' has timestamp too new: T
//	max entry size 'N' bytes exceeded for stream '…' while adding an entry with length 'M' bytes
//
// T is cut to seconds. Rounded so that an entry within the same second counts
// as refused: it may have been taken, but is not lost if it is not.
func (r *refusal) readTimes(body string) {
	if _, rest, ok := strings.Cut(body, "has timestamp too old: "); ok {
		if _, rest, ok = strings.Cut(rest, "oldest acceptable timestamp is: "); ok {
			if t, ok := leadingTime(rest); ok {
				r.tooOld = t.Add(time.Second).UnixNano()
			}
		}
	}
	for rest, found := body, true; found; {
		if _, rest, found = strings.Cut(rest, "has timestamp too new: "); found {
			if t, ok := leadingTime(rest); ok {
				r.tooNew = min(r.tooNew, t.UnixNano())
			}
		}
	}
	if _, rest, ok := strings.Cut(body, "max entry size '"); ok {
		if n, ok := leadingInt(rest); ok {
			r.lineBytes = n
		}
	}
}

// readBehind reads the ingester's summary (pkg/ingester/stream.go):
//
//	user 'U', total ignored: N out of M for stream: {…}
//
// and trusts it only if no entry was refused for another reason: the first ten
// are listed, and over a rate limit an entry is only refused for now.
func (r *refusal) readBehind(body string) {
	at := strings.LastIndex(body, "total ignored: ")
	if at < 0 || strings.Count(body[:at], "ignored, reason: '") != strings.Count(body[:at], "ignored, reason: 'entry too far behind") {
		return
	}
	rest := body[at+len("total ignored: "):]
	ignored, ok := leadingInt(rest)
	if !ok {
		return
	}
	if _, rest, ok = strings.Cut(rest, " out of "); !ok {
		return
	}
	if of, ok := leadingInt(rest); ok && ignored > 0 && ignored <= of {
		r.behind, r.of = ignored, of
	}
}

func leadingTime(s string) (time.Time, bool) {
	end := strings.IndexFunc(s, func(c rune) bool { return !strings.ContainsRune("0123456789-+:TZ", c) })
	if end < 0 {
		end = len(s)
	}
	t, err := time.Parse(time.RFC3339, s[:end])
	return t, err == nil && t.Year() > 1970 && t.Year() < 2262
}

func leadingInt(s string) (int, bool) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(s[:end], 10, 31)
	return int(n), err == nil
}
