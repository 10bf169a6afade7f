package loki

import (
	"testing"
	"time"
)

func TestMayShare(t *testing.T) {
	const key = 7
	now := testNow
	fresh := &stream{key: key, bytes: 1000, entries: []entry{{timestamp: now.UnixNano()}}}
	old := &stream{key: key, bytes: 1000, entries: []entry{{timestamp: now.Add(-maxSharedAge - 1).UnixNano()}}}
	large := &stream{key: key, bytes: loudBurstBytes, entries: fresh.entries}

	s := newStanding()
	check := func(what string, st *stream, at time.Time, want bool) {
		t.Helper()
		if got := s.mayShare(st, at); got != want {
			t.Errorf("%s: may share %t, want %t", what, got, want)
		}
	}
	check("unknown", fresh, now, false)
	s.acknowledged(key, 1000, now)
	check("known", fresh, now, true)
	check("old entries", old, now, false)
	check("large", large, now, false)
	check("idle", fresh, now.Add(maxIdle), false)
	s.acknowledged(key, loudBurstBytes, now)
	check("loud", fresh, now, false)
	check("loud two seconds ago", fresh, now.Add(2*time.Second), true)
	s.forget(key)
	check("refused", fresh, now, false)
}

func TestStandingIsBounded(t *testing.T) {
	s := newStanding()
	for key := range uint64(3 * maxKnownStreams) {
		s.acknowledged(key, 1, testNow)
		if len(s.known) > maxKnownStreams {
			t.Fatalf("%d streams known, bound %d", len(s.known), maxKnownStreams)
		}
	}
	// Idle ones go first.
	later := testNow.Add(maxIdle)
	for key := range uint64(maxKnownStreams) {
		s.acknowledged(1<<32+key, 1, later)
	}
	for key := range uint64(maxKnownStreams / 4) {
		if _, ok := s.known[1<<32+3*maxKnownStreams/4+key]; !ok {
			t.Fatal("a stream in use was forgotten rather than an idle one")
		}
	}
}
