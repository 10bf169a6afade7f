package system

import (
	"context"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// everyLine selects all that the agent sent.
const everyLine = `{cluster="` + Cluster + `"}`

// lineReader follows what arrives in Loki without reading all of it each time.
// Lines may arrive late and so in the past: the window that is read again
// begins at the last moment up to whose lines nothing is missing.
type lineReader struct {
	seen   *nodesim.Seen
	from   time.Time
	marks  []mark
	newest time.Time // of the found lines
}

// mark is how much was written at a time.
type mark struct {
	at      time.Time
	written []nodesim.StreamStatus
}

func newLineReader(start time.Time) *lineReader {
	// Job containers had written before the start.
	return &lineReader{seen: nodesim.NewSeen(), from: start.Add(-time.Minute)}
}

// read brings seen up to date.
func (l *lineReader) read(ctx context.Context, loki *stores.Loki, node *nodesim.Node) error {
	l.marks = append(l.marks, mark{at: time.Now(), written: node.Streams()})
	err := loki.Each(ctx, everyLine, l.from, time.Now().Add(time.Minute), func(e stores.Entry) error {
		l.seen.Line([]byte(e.Line))
		if e.Timestamp.After(l.newest) {
			l.newest = e.Timestamp
		}
		return nil
	})
	if err != nil {
		return err
	}
	for len(l.marks) > 0 && l.complete(l.marks[0]) {
		// A line's time may be a little later than when it was counted.
		l.from = l.marks[0].at.Add(-time.Second)
		l.marks = l.marks[1:]
	}
	return nil
}

func (l *lineReader) complete(m mark) bool {
	for _, s := range m.written {
		if l.seen.Through(s.Stream) < s.Written {
			return false
		}
	}
	return true
}

// Lines asks Loki for all lines and compares them with what was written so far.
func (s *System) Lines(ctx context.Context) (nodesim.LineReport, error) {
	seen := nodesim.NewSeen()
	written := s.Node.Streams()
	err := s.Loki.Each(ctx, everyLine, s.start.Add(-time.Minute), time.Now().Add(time.Minute), func(e stores.Entry) error {
		seen.Line([]byte(e.Line))
		return nil
	})
	if err != nil {
		return nodesim.LineReport{}, err
	}
	return seen.Compare(written), nil
}

// FoundLines is a cheap count of the different lines in Loki, and the time of
// the newest.
func (s *System) FoundLines(ctx context.Context) (found uint64, newest time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.lines.read(ctx, s.Loki, s.Node)
	return s.lines.seen.Total(), s.lines.newest, err
}
