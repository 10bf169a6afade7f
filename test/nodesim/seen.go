package nodesim

import (
	"cmp"
	"fmt"
	"slices"
)

// Bits is a set of sequence numbers, from 1.
type Bits struct {
	words []uint64
	n     uint64
	low   uint64 // all of 1..low are in the set
}

// Set adds a number and tells whether it was new.
func (b *Bits) Set(seq uint64) bool {
	w := seq / 64
	for uint64(len(b.words)) <= w {
		b.words = append(b.words, make([]uint64, max(16, len(b.words)))...)
	}
	mask := uint64(1) << (seq % 64)
	if b.words[w]&mask != 0 {
		return false
	}
	b.words[w] |= mask
	b.n++
	return true
}

// Has tells whether a number is in the set.
func (b *Bits) Has(seq uint64) bool {
	w := seq / 64
	return w < uint64(len(b.words)) && b.words[w]&(1<<(seq%64)) != 0
}

// Count is the size of the set.
func (b *Bits) Count() uint64 { return b.n }

// Range of sequence numbers, both ends included.
type Range struct{ First, Last uint64 }

// maxSeq bounds what a (possibly foreign) line may make a Bits allocate: 128 MiB.
const maxSeq = 1 << 30

// Seen counts, per stream, which lines were found.
type Seen struct {
	streams  map[string]*Bits
	Repeated map[string]uint64 // found again, per stream
	Damaged  []string          // what is not a line as written; the first hundred
	damaged  uint64
	total    uint64
}

// NewSeen makes an empty one.
func NewSeen() *Seen {
	return &Seen{streams: map[string]*Bits{}, Repeated: map[string]uint64{}}
}

// Line takes a found line.
func (s *Seen) Line(text []byte) {
	stream, seq, err := ParseLine(text)
	if err == nil && (seq == 0 || seq > maxSeq) {
		err = fmt.Errorf("sequence number %d of %s was never written", seq, stream)
	}
	if err != nil {
		s.damaged++
		if len(s.Damaged) < 100 {
			s.Damaged = append(s.Damaged, err.Error())
		}
		return
	}
	b := s.streams[stream]
	if b == nil {
		b = &Bits{}
		s.streams[stream] = b
	}
	if !b.Set(seq) {
		s.Repeated[stream]++
		return
	}
	s.total++
}

// Total is how many different lines were found.
func (s *Seen) Total() uint64 { return s.total }

// Missing lists what a stream's container wrote (1..written) and was not found.
func (s *Seen) Missing(stream string, written uint64) []Range {
	b := s.streams[stream]
	if b == nil {
		b = &Bits{}
	}
	var missing []Range
	for seq := uint64(1); seq <= written; seq++ {
		if b.Has(seq) {
			continue
		}
		if n := len(missing); n > 0 && missing[n-1].Last == seq-1 {
			missing[n-1].Last = seq
		} else {
			missing = append(missing, Range{seq, seq})
		}
	}
	return missing
}

// LineReport compares what was written with what was found.
type LineReport struct {
	Written  uint64
	Found    uint64 // different lines
	Missing  uint64 // not found, though the kubelet had not deleted the file
	Deleted  uint64 // not found, and in a file that the kubelet has deleted
	Repeated uint64 // found more than once
	Damaged  uint64 // found, but not as written
	Details  []string
}

// Complete tells whether every line arrived, whole. Repetitions do not count
// against it: what was not acknowledged is sent again.
func (r LineReport) Complete() bool {
	return r.Found == r.Written && r.Missing == 0 && r.Deleted == 0 && r.Damaged == 0
}

// Compare makes the report.
func (s *Seen) Compare(streams []StreamStatus) LineReport {
	report := LineReport{Found: s.total, Damaged: s.damaged}
	for _, st := range streams {
		report.Written += st.Written
		report.Repeated += s.Repeated[st.Stream]
		for _, r := range s.Missing(st.Stream, st.Written) {
			deleted := overlap(r, st.Deleted)
			report.Deleted += deleted
			report.Missing += r.Last - r.First + 1 - deleted
			report.Details = append(report.Details, fmt.Sprintf("%s (%s/%s/%s): lines %d to %d of %d not found, %d of them in deleted files",
				st.Stream, st.Namespace, st.Pod, st.Container, r.First, r.Last, st.Written, deleted))
		}
	}
	report.Details = append(report.Details, s.Damaged...)
	return report
}

// overlap counts the numbers of r that are in one of the ranges.
func overlap(r Range, ranges []Range) uint64 {
	var n uint64
	for _, d := range ranges {
		first, last := max(r.First, d.First), min(r.Last, d.Last)
		if first <= last {
			n += last - first + 1
		}
	}
	return n
}

// merge makes ranges disjoint: a line cut by a rotation is in two files.
func merge(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	var merged []Range
	for _, r := range ranges {
		if n := len(merged); n > 0 && r.First <= merged[n-1].Last+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// Through is the number up to which every line of a stream was found.
func (s *Seen) Through(stream string) uint64 {
	b := s.streams[stream]
	if b == nil {
		return 0
	}
	for b.Has(b.low + 1) {
		b.low++
	}
	return b.low
}
