package containerlogs

// pending collects the pieces of a line of one stream until its last one came,
// perhaps in the next file and perhaps after a restart: until then the offset
// of the first piece is not committed. It keeps limit bytes and counts the
// rest, so its memory is bounded whatever a container writes.
type pending struct {
	active   bool
	unixNano int64 // of the first piece
	start    position
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

func (p position) before(q position) bool {
	return p.file < q.file || p.file == q.file && p.offset < q.offset
}

// begin starts a line with a piece at the given place.
func (p *pending) begin(unixNano int64, at position) {
	*p = pending{active: true, unixNano: unixNano, start: at, kept: p.kept[:0]}
}

// add takes content's bytes; of the whole line at most limit are kept.
func (p *pending) add(content string, limit int) {
	p.bytes += int64(len(content))
	if room := limit - len(p.kept); room > 0 {
		p.kept = append(p.kept, content[:min(room, len(content))]...)
	}
}

// end forgets the line. A large buffer is given back: a container with one
// huge line should not hold its memory for good.
func (p *pending) end() {
	kept := p.kept[:0]
	if cap(kept) > 64<<10 {
		kept = nil
	}
	*p = pending{kept: kept}
}
