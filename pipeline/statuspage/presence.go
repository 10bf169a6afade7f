package statuspage

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// presence is when log lines of a node last passed: an agent whose own metrics
// wait behind a store that is away is there all the same.
type presence struct {
	mu       sync.RWMutex
	nodes    map[string]*atomic.Int64 // name to Unix nanoseconds
	madeRoom time.Time
}

func newPresence() *presence { return &presence{nodes: map[string]*atomic.Int64{}} }

// see notes a node; a known one costs no allocation.
func (p *presence) see(node string, now time.Time) {
	p.mu.RLock()
	at, ok := p.nodes[node]
	p.mu.RUnlock()
	if ok {
		at.Store(now.UnixNano())
		return
	}
	if len(node) > 2*maxNameBytes {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.nodes) >= maxNodes && now.Sub(p.madeRoom) >= makeRoomEvery {
		p.madeRoom = now
		p.forgetLocked(now)
	}
	if len(p.nodes) >= maxNodes || p.nodes[node] != nil {
		return
	}
	at = new(atomic.Int64)
	at.Store(now.UnixNano())
	p.nodes[strings.Clone(node)] = at
}

func (p *presence) forgetLocked(now time.Time) {
	for name, at := range p.nodes {
		if now.UnixNano()-at.Load() > int64(forgetAfter) {
			delete(p.nodes, name)
		}
	}
}

// times is a copy of what is known.
func (p *presence) times(now time.Time) map[string]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked(now)
	all := make(map[string]time.Time, len(p.nodes))
	for name, at := range p.nodes {
		all[name] = unixTime(at.Load())
	}
	return all
}
