package kubestate

import (
	"sync"
	"sync/atomic"
)

// store holds the states of one kind's objects. Watcher and sender share it.
type store struct {
	kind   *kind
	budget *budget

	mu    sync.Mutex
	byKey map[string]int // namespace/name to slot; a name used again is the same slot
	slots []entry
	free  []int
	list  uint32 // number of the list that is read or was read last
}

// entry is an object. While it exists or may be known to the consumer, it has
// its slot.
type entry struct {
	key     string
	current state // "" when the object is gone
	sent    state // what the consumer took last, "" for nothing
	pending state // what is on the way to it
	flying  bool
	list    uint32 // the last list that had the object, or that an event followed
}

// budget bounds the bytes of all stores.
type budget struct {
	max  int64
	used atomic.Int64
}

// take reserves n bytes, or gives back for negative n, which always works.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.max && n > 0 {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

// entryBytes is what an entry costs beside its state and key: slot, map, headers.
const entryBytes = 160

func newStore(k *kind, b *budget) *store {
	return &store{kind: k, budget: b, byKey: map[string]int{}}
}

// put takes the packed series of an object; buf stays the caller's. It is false
// if there is no room for it, and the object is not told of.
func (s *store) put(key string, buf []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.byKey[key]
	if !ok {
		if !s.budget.take(entryBytes + len(key) + len(buf)) {
			return false
		}
		s.insert(entry{key: key, current: state(buf), list: s.list})
		return true
	}
	e := &s.slots[i]
	e.list = s.list
	if string(e.current) == string(buf) {
		return true // most updates of most kinds change no series
	}
	if !s.budget.take(len(buf) - len(e.current)) {
		s.gone(i)
		return false
	}
	e.current = state(buf)
	return true
}

func (s *store) insert(e entry) {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		s.slots[i], s.byKey[e.key] = e, i
		return
	}
	s.byKey[e.key] = len(s.slots)
	s.slots = append(s.slots, e)
}

// delete notes that an object is gone.
func (s *store) delete(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.byKey[key]; ok {
		s.gone(i)
	}
}

// gone empties an entry, and removes it unless series of it have to be marked.
func (s *store) gone(i int) {
	e := &s.slots[i]
	s.budget.take(-len(e.current))
	e.current = ""
	if e.sent == "" && !e.flying {
		s.remove(i)
	}
}

func (s *store) remove(i int) {
	key := s.slots[i].key
	s.budget.take(-entryBytes - len(key))
	delete(s.byKey, key)
	s.slots[i] = entry{}
	s.free = append(s.free, i)
}

// begin starts a list.
func (s *store) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list++
}

// end ends a list: objects that it did not have are gone.
func (s *store) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.slots {
		if e := &s.slots[i]; e.key != "" && e.list != s.list {
			s.gone(i)
		}
	}
}

// objects counts those that exist.
func (s *store) objects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byKey)
}

// settle notes what became of an entry on its way to the consumer.
func (s *store) settle(slots []int, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range slots {
		e := &s.slots[i]
		if taken {
			e.sent = e.pending
		}
		e.pending, e.flying = "", false
		if e.sent == "" && e.current == "" {
			s.remove(i)
		}
	}
}
