package containerlogs

import "sync"

// schedule is the scheduler's part of a tail.
type schedule struct {
	state scheduleState
	again bool // woken while busy
}

type scheduleState uint8

const (
	parked  scheduleState = iota // waits for a write
	waiting                      // is read at the next tick
	ready                        // in the queue
	busy                         // a lane has it
)

// scheduler hands tails to lanes, first come first served. A tail is with one
// lane at a time, from its first byte of a batch to the acknowledgement.
type scheduler struct {
	mu      sync.Mutex
	cond    sync.Cond
	queue   []*tail // ready
	waiting []*tail // for the tick
	closed  bool
	started chan struct{} // holds a token when waiting became non-empty
}

func newScheduler() *scheduler {
	s := &scheduler{started: make(chan struct{}, 1)}
	s.cond.L = &s.mu
	return s
}

// next takes a tail from the queue, waiting for one; nil after close.
func (s *scheduler) next() *tail {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.closed {
		s.cond.Wait()
	}
	return s.takeLocked()
}

// tryNext takes a tail from the queue if there is one.
func (s *scheduler) tryNext() *tail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeLocked()
}

func (s *scheduler) takeLocked() *tail {
	if len(s.queue) == 0 || s.closed {
		return nil
	}
	t := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	t.state, t.again = busy, false
	return t
}

// wake lets a tail that waits for a write be read at the next tick.
func (s *scheduler) wake(t *tail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch t.state {
	case parked:
		s.waitLocked(t)
	case busy:
		t.again = true
	}
}

// release returns a tail from a lane.
func (s *scheduler) release(t *tail, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case o == more:
		t.state = ready
		s.queue = append(s.queue, t)
		s.cond.Signal()
	case o == hot || t.again:
		s.waitLocked(t)
	default:
		t.state = parked
	}
}

func (s *scheduler) waitLocked(t *tail) {
	t.state = waiting
	s.waiting = append(s.waiting, t)
	if len(s.waiting) == 1 {
		select {
		case s.started <- struct{}{}:
		default:
		}
	}
}

// tick makes all waiting tails ready. It wakes one lane, for one batch: lanes
// wake each other as batches fill up.
func (s *scheduler) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.waiting {
		t.state = ready
		s.queue = append(s.queue, t)
		s.waiting[i] = nil
	}
	s.waiting = s.waiting[:0]
	s.cond.Signal()
}

// help wakes another lane if tails are left in the queue.
func (s *scheduler) help() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 {
		s.cond.Signal()
	}
}

func (s *scheduler) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.cond.Broadcast()
}
