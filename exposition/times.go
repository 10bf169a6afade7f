// Package exposition is what receivers of Prometheus metrics share: the times of
// values and stale markers, and exemplars as pdata.
package exposition

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// MaxMilliseconds is the last time that nanoseconds since 1970 can hold.
const MaxMilliseconds = math.MaxInt64 / 1_000_000

// Timestamp turns milliseconds since 1970 into pdata's nanoseconds, and those that
// these cannot hold into 0.
func Timestamp(milliseconds int64) pcommon.Timestamp {
	if milliseconds < 0 || milliseconds > MaxMilliseconds {
		return 0
	}
	return pcommon.Timestamp(milliseconds * 1e6)
}

// Times are those of one series, in milliseconds since 1970.
type Times struct {
	Read  int64 // of the last value, as its source has it; 0: there was none
	Sent  int64 // of the last value or marker, as it was written
	Own   bool  // Read is the source's word, and not the time of the scrape
	Ended bool  // a marker was written behind the last value
}

// Take sets the times of a value that a scrape at now finds at a time. Values
// without a time of their own are at now.
func (t *Times) Take(at, now int64) {
	own := at != now
	sent := at
	if own && t.Own && at <= t.Sent {
		sent = t.behind(at)
	}
	t.Read, t.Sent, t.Own = at, sent, own
}

// behind gives the time under which a value goes on whose time is not after what
// was written last. cAdvisor gives a value again until it has looked anew,
// machine_* for minutes. Behind a marker, with which a failed scrape ended the
// series a millisecond after that very value, a store refuses it, and the series
// would be away until there is a new one: it goes on right behind the marker, and
// under that time for as long as it is repeated.
func (t *Times) behind(at int64) int64 {
	switch {
	case at < t.Read:
		return at // the source went back: that the store must judge
	case t.Ended || at > t.Read:
		return t.Sent + 1
	}
	return t.Sent
}

// Marker gives the time for a marker that a scrape at now makes. That is now, but
// right behind the last value where times are the source's own: these may be ahead
// of this node's clock, and a marker that a store refuses as out of order marks
// nothing; or behind it: after a failed scrape cAdvisor gives values that are
// seconds old, and a marker at the present time would have the store refuse them.
func (t *Times) Marker(now int64) int64 {
	at := t.Sent + 1
	if t.Ended {
		at = t.Sent // it was not taken, as far as is known
	}
	if t.Own {
		return at
	}
	return max(now, at)
}

// End remembers that a marker was written at a time, and gives that time.
func (t *Times) End(at int64) int64 {
	t.Sent, t.Ended = at, true
	return at
}
