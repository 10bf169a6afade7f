package statuspage

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// maxErrorBytes bounds the text of an error that is kept.
const maxErrorBytes = 600

// cutOffWithin is how long a healthy store may take: what is cut off earlier is
// its sender's doing.
const cutOffWithin = 2 * time.Second

// flow is how a signal's store answers, seen from the pipeline: at once, where
// the exporters' metrics tell it a scrape later, and with the error's text. Times
// are Unix nanoseconds, 0 is never. A nil flow takes no notice.
type flow struct {
	waiting      atomic.Int64 // requests without an answer
	waitingSince atomic.Int64 // when the first of them began to wait, or the last answer
	lastSuccess  atomic.Int64
	lastFailure  atomic.Int64
	failingSince atomic.Int64 // first failure after the last success
	failure      atomic.Pointer[string]
}

func (f *flow) begin(now time.Time) {
	if f == nil {
		return
	}
	if f.waiting.Add(1) == 1 {
		f.waitingSince.Store(now.UnixNano())
	}
}

// end takes the answer to a request that began at a time. An agent that goes
// away cuts off its requests, which says nothing of the store, unless they had
// waited for long.
func (f *flow) end(ctx context.Context, began time.Time, err error) {
	if f == nil {
		return
	}
	f.waiting.Add(-1)
	now := time.Now()
	if err == nil {
		f.lastSuccess.Store(now.UnixNano())
		f.waitingSince.Store(now.UnixNano())
		f.failingSince.Store(0)
		return
	}
	if errors.Is(ctx.Err(), context.Canceled) && now.Sub(began) < cutOffWithin {
		return
	}
	text := cut(err.Error(), maxErrorBytes)
	f.failure.Store(&text)
	f.lastFailure.Store(now.UnixNano())
	f.failingSince.CompareAndSwap(0, began.UnixNano())
}

// delivery is the flow as the page shows it.
func (f *flow) delivery(replica string, signal string) Delivery {
	d := Delivery{
		Replica: replica, Signal: signal, Waiting: f.waiting.Load(),
		LastSuccess: unixTime(f.lastSuccess.Load()), LastFailure: unixTime(f.lastFailure.Load()),
		FailingSince: unixTime(f.failingSince.Load()),
	}
	if d.Waiting > 0 {
		d.WaitingSince = unixTime(f.waitingSince.Load())
	}
	if text := f.failure.Load(); text != nil {
		d.Failure = *text
	}
	return d
}

// unixTime is the zero time for 0.
func unixTime(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds).UTC()
}

// cut is a copy of the text with at most n bytes, of valid UTF-8.
func cut(text string, n int) string {
	if len(text) > n {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	return strings.ToValidUTF8(strings.Clone(text), "\uFFFD")
}
