package containerlogs

// lineState is what a container's log carries from one chunk to the next.
type lineState struct {
	pending [streams]pending
	long    longLine
	// since is where the first of the pending lines began, or one before it
	// that they overlap with: the last place at which no stream was within a
	// line, and so the only one where reading can begin again.
	since position
}

// longLine says that the reader stands in the middle of a physical line that
// is longer than a chunk: its rest is counted, not kept.
type longLine struct {
	active bool
	stream stream
	last   bool // the line ends the pending one (F), else more pieces follow
}

// pendingSince returns the place that must not be committed past, and false
// when no line is unfinished.
func (s *lineState) pendingSince() (bool, position) {
	for i := range s.pending {
		if s.pending[i].active {
			return true, s.since
		}
	}
	return false, position{}
}

// begin starts a stream's line with a piece at the given place, to be collected
// in buf.
func (s *lineState) begin(stream stream, unixNano int64, at position, buf []byte) {
	if held, _ := s.pendingSince(); !held {
		s.since = at
	}
	s.pending[stream] = pending{active: true, unixNano: unixNano, kept: buf[:0]}
}

// pending collects the pieces of a line of one stream until its last one came,
// perhaps in the next file and perhaps after a restart: until then the offset
// of the first piece is not committed. It keeps limit bytes and counts the
// rest, so its memory is bounded whatever a container writes.
type pending struct {
	active   bool
	unixNano int64 // of the first piece
	kept     []byte
	bytes    int64 // of all pieces, kept or not
	pieces   int
	fault    fault // the line's header could not be read
}

// position is a place in a container's log: file number and byte.
type position struct {
	file   int
	offset int64
}

// add takes content's bytes; of the whole line at most limit are kept.
func (p *pending) add(content string, limit int) {
	p.bytes += int64(len(content))
	if room := limit - len(p.kept); room > 0 {
		p.kept = append(p.kept, content[:min(room, len(content))]...)
	}
}
