package spool

import (
	"bytes"
	"testing"
	"time"
)

func frames(payloads ...string) []byte {
	var b []byte
	for i, p := range payloads {
		h := encodeHeader([]byte(p), i+1, time.Unix(0, 1_700_000_000_000_000_000+int64(i)))
		b = append(append(b, h[:]...), p...)
	}
	return b
}

func TestHeaderRoundTrip(t *testing.T) {
	at := time.Unix(1_700_000_000, 12_345)
	b := encodeHeader([]byte("payload"), 42, at)
	h, err := decodeHeader(b[:])
	if err != nil || h.payloadBytes != 7 || h.items != 42 || !h.at.Equal(at) {
		t.Errorf("got %+v, %v", h, err)
	}
	if _, err := decodeHeader(make([]byte, headerBytes)); err == nil {
		t.Error("a header of zeros passes")
	}
}

func TestJoinFramesLimit(t *testing.T) {
	for limit, want := range map[int]string{0: "one", 3: "one", 5: "one", 6: "onetwo", 10: "onetwo", 11: "onetwothree", 99: "onetwothree"} {
		r, err := joinFrames(frames("one", "two", "three"), limit)
		if err != nil || string(r.payload) != want {
			t.Errorf("limit %d: got %q, %v; want %q", limit, r.payload, err, want)
		}
	}
}

// FuzzJoinFrames: whatever stands on disk is read without a panic, within bounds,
// and a run is never other than whole frames that check out.
func FuzzJoinFrames(f *testing.F) {
	good := frames("one", "", "three and some more")
	f.Add(good, 10)
	f.Add(good[:len(good)-1], 1000)
	f.Add(append(bytes.Clone(good), make([]byte, 100)...), 1000)
	flipped := bytes.Clone(good)
	flipped[headerBytes] ^= 1
	f.Add(flipped, 1000)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		r, err := joinFrames(bytes.Clone(b), limit)
		if err != nil && r.frames > 0 {
			t.Fatal("an error with frames")
		}
		if r.bytes > int64(len(b)) || int64(len(r.payload))+int64(r.frames)*headerBytes > r.bytes {
			t.Fatalf("%d frames of %d bytes with %d bytes of payload from %d bytes", r.frames, r.bytes, len(r.payload), len(b))
		}
		end, items, err := scan(bytes.NewReader(b), 0, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if end < r.bytes || end > int64(len(b)) {
			t.Fatalf("scan ends at %d, the run at %d", end, r.bytes)
		}
		if end == r.bytes && items != r.items+r.corrupt {
			t.Fatalf("scan has %d items, the run %d and %d corrupt", items, r.items, r.corrupt)
		}
	})
}

func FuzzDecodeCursor(f *testing.F) {
	good := encodeCursor(position{segment: 7, offset: 99})
	f.Add(good[:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := decodeCursor(b)
		if again := encodeCursor(p); p != (position{}) && !bytes.Equal(again[:], b) {
			t.Fatalf("%x became %+v", b, p)
		}
	})
}
