package loki

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestJudge(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html"}}
	for _, c := range []struct {
		code   int
		header http.Header
		body   string
		want   outcome
		advice string
	}{
		{204, nil, "", accepted, ""},
		{200, nil, "", accepted, ""},
		{200, html, "<html>", misled, "endpoint"},
		{260, nil, "ingestion blocked", refused, ""},
		{301, http.Header{"Location": {"https://x"}}, "", misled, "https://x"},
		{400, nil, "entry too far behind", refused, ""},
		{400, nil, "no org id\n", misled, "tenant"},
		{400, html, "<html>The plain HTTP request was sent to HTTPS port", misled, "proxy"},
		{400, nil, "Client sent an HTTP request to an HTTPS server.\n", misled, "https://"},
		{400, nil, "tenant ID is too long: max 150 characters", misled, "tenant"},
		{401, nil, "no org id\n", misled, "set tenant"},
		{401, nil, "", misled, "auth"},
		{403, nil, "", misled, "tenant"},
		{404, nil, "", misled, pushPath},
		{405, nil, "", misled, pushPath},
		{408, nil, "", busy, ""},
		{413, nil, "", tooLarge, ""},
		{415, nil, "", misled, "protobuf"},
		{422, nil, "", refused, ""},
		{429, nil, "ingestion rate limit exceeded for user fake", busy, ""},
		{429, nil, "entry with timestamp … ignored, reason: 'Per stream rate limit exceeded (limit: 3MB/sec)", streamBusy, ""},
		{499, nil, "context canceled", busy, ""},
		{500, nil, "empty ring", busy, ""},
		{500, nil, "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)", tooLarge, ""},
		{503, nil, "", busy, ""},
	} {
		got, advice := judge(c.code, c.header, c.body)
		if got != c.want || !strings.Contains(advice, c.advice) || (advice == "") != (c.want != misled) {
			t.Errorf("judge(%d, %q) = %v, %q; want %v, %q", c.code, c.body, got, advice, c.want, c.advice)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := testNow
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "5": 5 * time.Second, "-5": 0, "soon": 0, "1.5": 0, "4294967295": maxRetryAfter, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
		now.Add(time.Hour).Format(http.TimeFormat): maxRetryAfter,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", value, got, want)
		}
	}
}

// Answers of Loki 3.7.8; those about times and about being behind were captured.
const (
	behindAnswer = `entry with timestamp 2026-11-23 04:42:03 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-23T04:42:03Z, oldest acceptable timestamp is: 2026-11-23T05:42:03Z',
user 'fake', total ignored: 7 out of 90 for stream: {a="2", service_name="unknown_service"}
`
	mixedAnswer = `entry with timestamp 2026-11-23 04:42:03 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '{a="2"}' totaling 5B, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased',
entry with timestamp 2026-11-23 04:42:03 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-23T04:42:03Z, oldest acceptable timestamp is: 2026-11-23T05:42:03Z',
user 'fake', total ignored: 2 out of 90 for stream: {a="2"}
`
	timesAnswer = `1 errors like: entry for stream '{c="2", service_name="unknown_service"}' has timestamp too old: 2024-08-11T22:42:03Z, oldest acceptable timestamp is: 2026-11-16T06:42:03Z; 1 errors like: entry for stream '{c="2", service_name="unknown_service"}' has timestamp too new: 2026-11-23T08:42:03Z; 1 errors like: entry for stream '{c="2", service_name="unknown_service"}' has timestamp too new: 2026-11-23T08:41:03Z
`
	longAnswer     = "max entry size '65536' bytes exceeded for stream '{c=\"2\"}' while adding an entry with length '70000' bytes\n"
	labelsAnswer   = "stream '{a=\"b\"}' has label value too long: 'b'\n"
	metadataAnswer = "stream '{a=\"b\"}' has structured metadata too large: '70000' bytes, limit: '65536' bytes. Please see `limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it\n"
	unknownAnswer  = "something new\n"
)

var answerNow = time.Date(2026, 11, 23, 6, 42, 3, 0, time.UTC)

func TestReadRefusal(t *testing.T) {
	none := int64(math.MaxInt64)
	for body, want := range map[string]refusal{
		behindAnswer: {reason: reasonTooFarBehind, tooNew: none, behind: 7, of: 90},
		mixedAnswer:  {reason: reasonTooFarBehind, tooNew: none},
		timesAnswer: {
			reason: reasonTooOld,
			tooOld: time.Date(2026, 11, 16, 6, 42, 4, 0, time.UTC).UnixNano(),
			tooNew: time.Date(2026, 11, 23, 8, 41, 3, 0, time.UTC).UnixNano(),
		},
		longAnswer:     {reason: reasonLineTooLong, tooNew: none, lineBytes: 65536},
		labelsAnswer:   {reason: reasonLabels, tooNew: none, wholeStream: true},
		metadataAnswer: {reason: reasonMetadata, tooNew: none},
		unknownAnswer:  {reason: reasonRejected, tooNew: none},

		// What a pod may write into its labels must not condemn recent logs.
		`stream '{a="has timestamp too new: 1999-01-01T00:00:00Z"}' has label value too long: 'b'`:             {reason: reasonTooNew, tooNew: none},
		`stream '{a="has timestamp too old: x, oldest acceptable timestamp is: 2026-11-23T06:42:03Z"}' is odd`: {reason: reasonTooOld, tooNew: none},
		`max entry size '1' bytes exceeded`:                                             {reason: reasonLineTooLong, tooNew: none},
		`total ignored: 5 out of 3 for stream`:                                          {reason: reasonRejected, tooNew: none},
		`has timestamp too new: has timestamp too new: total ignored: max entry size '`: {reason: reasonTooNew, tooNew: none},
	} {
		got := readRefusal(400, body, answerNow)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(refusal{}), cmpopts.IgnoreFields(refusal{}, "text")); diff != "" {
			t.Errorf("refusal of %q (-want +got):\n%s", body, diff)
		}
	}
}

func FuzzReadRefusal(f *testing.F) {
	for _, s := range []string{behindAnswer, mixedAnswer, timesAnswer, longAnswer, labelsAnswer, metadataAnswer, unknownAnswer} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := readRefusal(400, body, answerNow)
		if r.reason == "" || len(r.text) > maxLoggedBytes || r.behind < 0 || r.behind > r.of {
			t.Errorf("refusal %+v", r)
		}
		if r.tooOld > answerNow.Add(-minAgeTooOld).UnixNano() || r.tooNew < answerNow.UnixNano() || r.lineBytes != 0 && r.lineBytes < minMaxLineBytes {
			t.Errorf("limits that condemn recent logs: %+v", r)
		}
	})
}
