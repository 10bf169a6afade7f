package nodesim

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func testLine(stream string, seq uint64) []byte {
	return appendLine(nil, lineFormat(seq%3), line{at: time.Unix(1, 0), stream: stream, seq: seq})
}

// A repetition must not make up for a loss, and a loss at the end must show.
func TestSeenTellsLossFromRepetition(t *testing.T) {
	seen := NewSeen()
	for _, seq := range []uint64{1, 2, 2, 2, 5, 6} {
		seen.Line(testLine("a", seq))
	}
	r := seen.Compare([]StreamStatus{{Stream: "a", Written: 8, Deleted: []Range{{1, 3}}}, {Stream: "b", Written: 2}})
	if r.Written != 10 || r.Found != 4 || r.Repeated != 2 || r.Deleted != 1 || r.Missing != 5 || r.Complete() {
		t.Fatalf("report %+v", r)
	}
	if got := seen.Missing("a", 8); !slices.Equal(got, []Range{{3, 4}, {7, 8}}) {
		t.Fatalf("missing %v", got)
	}
	if seen.Through("a") != 2 || seen.Through("b") != 0 {
		t.Fatalf("through %d, %d; want 2, 0", seen.Through("a"), seen.Through("b"))
	}
}

func TestRepetitionAloneIsComplete(t *testing.T) {
	seen := NewSeen()
	seen.Line(testLine("a", 1))
	seen.Line(testLine("a", 1))
	if r := seen.Compare([]StreamStatus{{Stream: "a", Written: 1}}); !r.Complete() || r.Repeated != 1 {
		t.Fatalf("report %+v", r)
	}
}

func TestDamageIsFound(t *testing.T) {
	for _, seq := range []uint64{1, 2, 3} {
		whole := testLine("a", seq)
		if _, got, err := ParseLine(whole); err != nil || got != seq {
			t.Fatalf("whole line: %d, %v", got, err)
		}
		for i := range whole {
			cut := append(slices.Clone(whole[:i]), whole[i+1:]...)
			if _, _, err := ParseLine(cut); err == nil {
				t.Fatalf("line without byte %d passes: %q", i, cut)
			}
		}
		if _, _, err := ParseLine(bytes.Repeat(whole, 2)); err == nil {
			t.Fatal("two lines joined pass as one")
		}
	}
	seen := NewSeen()
	seen.Line([]byte("something else"))
	seen.Line(testLine("a", maxSeq+1))
	if r := seen.Compare(nil); r.Damaged != 2 || r.Complete() {
		t.Fatalf("report %+v", r)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add(testLine("a", 1))
	f.Add(testLine("b", 2))
	f.Add([]byte(` sum=`))
	f.Fuzz(func(t *testing.T, b []byte) {
		NewSeen().Line(b)
		if stream, _, err := ParseLine(b); err == nil && stream == "" {
			t.Fatal("line of no stream")
		}
	})
}
