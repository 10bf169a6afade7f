package loki

import (
	"sync"
	"time"
)

// Loki's ingester answers for a push of several streams with the result of the
// last one only (instance.Push in pkg/ingester/instance.go, v3.7.8, overwrites
// its error in the loop): a stream refused before it for being too far behind,
// over its rate or over the number of streams is lost under a 204. So a stream
// shares a push only while it cannot be refused there:
//
//   - the ingester has it already: it was acknowledged within maxIdle (an idle
//     one may have been flushed, and would count as new against the limit);
//   - its entries are younger than maxSharedAge; Loki's out-of-order window is
//     an hour by default, of which ten minutes may be a clock ahead of ours;
//   - it stays far below the rate limit of a stream, 3 MB/s with a burst of
//     15 MB by default.
//
// All others are pushed alone. In a steady state these are few.
const (
	maxIdle          = 10 * time.Minute
	maxSharedAge     = 15 * time.Minute
	loudBytesPerSec  = 1 << 20
	loudBurstBytes   = 2 << 20
	maxKnownStreams  = 1 << 16 // 32 B each, besides the map's own
	keptKnownStreams = maxKnownStreams / 2
)

// standing remembers which streams Loki has, and how loud they are.
type standing struct {
	mu    sync.Mutex
	known map[uint64]mark
}

type mark struct {
	acked time.Time
	level float64 // of a bucket that leaks loudBytesPerSec, at acked
}

func (m mark) levelAt(now time.Time) float64 {
	return max(0, m.level-loudBytesPerSec*now.Sub(m.acked).Seconds())
}

func newStanding() *standing { return &standing{known: make(map[uint64]mark)} }

// mayShare tells whether a 2xx for a push with other streams is to be believed
// for this one.
func (s *standing) mayShare(st *stream, now time.Time) bool {
	if st.entries[0].timestamp < now.Add(-maxSharedAge).UnixNano() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.known[st.key]
	return ok && now.Sub(m.acked) < maxIdle && m.levelAt(now)+float64(st.bytes) < loudBurstBytes
}

// acknowledged notes that Loki took bytes of the stream.
func (s *standing) acknowledged(key uint64, bytes int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.known[key]
	if !ok && len(s.known) >= maxKnownStreams {
		s.forgetSomeLocked(now)
	}
	s.known[key] = mark{acked: now, level: m.levelAt(now) + float64(bytes)}
}

// forgetSomeLocked makes room: idle streams go, then any. A forgotten stream
// costs one push of its own.
func (s *standing) forgetSomeLocked(now time.Time) {
	for key, m := range s.known {
		if now.Sub(m.acked) >= maxIdle {
			delete(s.known, key)
		}
	}
	for key := range s.known {
		if len(s.known) <= keptKnownStreams {
			return
		}
		delete(s.known, key)
	}
}

// forget makes the stream go alone the next time.
func (s *standing) forget(key uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}
