package statuspage

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const (
	// streamEvery is how often lines are sent at most.
	streamEvery = 200 * time.Millisecond
	// beatEvery is how often something is sent when there is nothing: a broken
	// connection is noticed, and an expired login ends the tail.
	beatEvery = 10 * time.Second
	// sendTimeout is how long a reader may take for one piece.
	sendTimeout = 15 * time.Second
)

// serveTail sends lines as they pass, until somebody ends it.
func (p *Page) serveTail(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t, err := p.tails.add(f)
	if err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer p.tails.remove(t)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies are to pass it on at once
	s := stream{http.NewResponseController(w), w}
	if s.send("state", p.tailState()) != nil {
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-p.tails.done:
			return
		case <-beat.C:
			if p.access.check(r) != nil || s.send("state", p.tailState()) != nil {
				return
			}
		case <-t.wake:
			if s.sendLines(t) != nil {
				return
			}
			if !pause(r, p.tails.done) {
				return
			}
		}
	}
}

// pause gathers lines for a moment; false: it is over.
func pause(r *http.Request, done <-chan struct{}) bool {
	timer := time.NewTimer(streamEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-done:
	}
	return false
}

// tailState is what a person should know about the lines, as JSON: while Loki
// refuses them, they come again.
func (p *Page) tailState() []byte {
	if p.flows[ledger.Logs].failingSince.Load() != 0 {
		return []byte(`{"repeating":true}`)
	}
	return []byte(`{"repeating":false}`)
}

// stream writes Server-Sent Events. Data are JSON, so they have no line breaks.
type stream struct {
	control *http.ResponseController
	w       http.ResponseWriter
}

func (s stream) send(event string, data []byte) error {
	// The server's own time limit is for whole answers; this one goes on.
	if err := s.control.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return err
	}
	return s.control.Flush()
}

func (s stream) sendLines(t *tail) error {
	lines, lost := t.take()
	if lines != nil {
		if err := s.send("lines", lines); err != nil {
			return err
		}
	}
	if lost > 0 {
		return s.send("lost", fmt.Appendf(nil, "%d", lost))
	}
	return nil
}
