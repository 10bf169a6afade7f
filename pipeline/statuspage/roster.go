package statuspage

import (
	"strings"
	"sync"
	"time"
)

// Bounds of what is remembered. Names come from outside: each is cut, their
// number is bounded, and all of it together is bounded in bytes.
const (
	maxRosterBytes = 32 << 20
	maxNameBytes   = 128
	maxKeys        = 4096 // distinct series of all programs together
	maxPoints      = 512  // series of one program
	maxNodes       = 10_000

	programCost = 768 // bytes besides points and names
	pointCost   = 48
	nodeCost    = 160

	// forgetAfter is when a program that is silent is taken for gone.
	forgetAfter = time.Hour
	// nodeForgetAfter is when a node that nobody tells of any more is taken for gone.
	nodeForgetAfter = 5 * time.Minute
	// makeRoomEvery bounds how often all is looked through for who is gone, when
	// there is no room: a flood of names must not cost a look each.
	makeRoomEvery = time.Minute
)

// role is what kind of program it is.
type role uint8

const (
	agent role = iota
	aggregator
)

// family is a metric that the page shows.
type family uint8

const (
	received family = iota
	delivered
	queued
	dropped
	logsLag
	lostFiles
	spoolAge
	spoolSize
	lokiRequests
	prometheusRequests
	jaegerRequests
)

// seriesKey is a series of any program. Few are distinct, so that points name
// them by number.
type seriesKey struct {
	family                    family
	signal, component, detail string // detail: reason or code
}

// point is a series of one program.
type point struct {
	key     int32
	at      int64 // Unix nanoseconds, by the sender's clock
	value   float64
	rate    float64 // per second, between the last two values
	changed int64   // when it was last seen to grow, by this clock; 0 is never
}

// programKey names a program.
type programKey struct {
	role role
	name string
}

// program is what one agent or aggregator told of itself.
type program struct {
	namespace, pod, version string

	first, last int64 // sender's times of its first and its last reading
	interval    int64 // nanoseconds between the last two
	arrived     int64 // this clock's time of the last reading
	points      []point
	// lastEven is when received did not exceed the sum of the fates, by signal.
	lastEven [signals]int64
}

// roster remembers the programs. Its methods are safe for concurrent use.
type roster struct {
	mu       sync.RWMutex
	programs map[programKey]*program
	keys     map[seriesKey]int32
	byNumber []seriesKey
	nodes    map[string]int64 // name to when it was last told of
	cluster  string
	bytes    int
	madeRoom time.Time
	omitted  uint64
}

func newRoster() *roster {
	return &roster{programs: map[programKey]*program{}, keys: map[seriesKey]int32{}, nodes: map[string]int64{}}
}

// findLocked is the program of a name, made if there is room; else nil.
func (r *roster) findLocked(role role, name string, now time.Time) *program {
	if p, ok := r.programs[programKey{role, name}]; ok {
		return p
	}
	cost := programCost + len(name)
	if len(name) > 2*maxNameBytes || !r.roomLocked(cost, now) {
		r.omitted++
		return nil
	}
	p := &program{}
	r.bytes += cost
	r.programs[programKey{role, strings.Clone(name)}] = p
	return p
}

// roomLocked says whether n more bytes fit, and forgets who is gone if need be.
func (r *roster) roomLocked(n int, now time.Time) bool {
	if r.bytes+n <= maxRosterBytes {
		return true
	}
	if now.Sub(r.madeRoom) < makeRoomEvery {
		return false
	}
	r.madeRoom = now
	r.forgetLocked(now)
	return r.bytes+n <= maxRosterBytes
}

// forgetLocked removes programs and nodes that are gone.
func (r *roster) forgetLocked(now time.Time) {
	for key, p := range r.programs {
		if now.UnixNano()-p.arrived > int64(forgetAfter) {
			r.bytes -= programCost + len(key.name) + len(p.points)*pointCost
			delete(r.programs, key)
		}
	}
	for name, seen := range r.nodes {
		if now.UnixNano()-seen > int64(nodeForgetAfter) {
			r.removeNodeLocked(name)
		}
	}
}

// numberLocked is that of a series; false if there are too many.
func (r *roster) numberLocked(key seriesKey) (int32, bool) {
	if n, ok := r.keys[key]; ok {
		return n, true
	}
	if len(r.byNumber) >= maxKeys || len(key.signal) > maxNameBytes || len(key.component) > maxNameBytes || len(key.detail) > maxNameBytes {
		r.omitted++
		return 0, false
	}
	key.signal, key.component, key.detail = strings.Clone(key.signal), strings.Clone(key.component), strings.Clone(key.detail)
	n := int32(len(r.byNumber))
	r.keys[key] = n
	r.byNumber = append(r.byNumber, key)
	return n, true
}

// setLocked takes a value of a program's series.
func (r *roster) setLocked(p *program, key seriesKey, value float64, at int64, now time.Time) {
	number, ok := r.numberLocked(key)
	if !ok {
		return
	}
	for i := range p.points {
		if p.points[i].key == number {
			p.points[i].update(value, at, now)
			return
		}
	}
	if len(p.points) >= maxPoints || !r.roomLocked(pointCost, now) {
		r.omitted++
		return
	}
	fresh := point{key: number, at: at, value: value}
	// A counter that begins while its program is known has just grown.
	if value > 0 && p.first != 0 && at > p.first {
		fresh.changed = now.UnixNano()
	}
	p.points = append(p.points, fresh)
	r.bytes += pointCost
}

// update takes a newer value; batches that come again change nothing.
func (p *point) update(value float64, at int64, now time.Time) {
	if at <= p.at {
		return
	}
	growth := value - p.value
	if growth < 0 { // the program began anew
		growth = value
	}
	p.rate = growth / time.Duration(at-p.at).Seconds()
	if growth > 0 {
		p.changed = now.UnixNano()
	}
	p.value, p.at = value, at
}

// removeLocked takes away a series that ended.
func (r *roster) removeLocked(p *program, key seriesKey) {
	number, ok := r.keys[key]
	if !ok {
		return
	}
	for i := range p.points {
		if p.points[i].key == number {
			p.points[i] = p.points[len(p.points)-1]
			p.points = p.points[:len(p.points)-1]
			r.bytes -= pointCost
			return
		}
	}
}

// readLocked closes a reading of a program that was taken at a time of its clock.
func (r *roster) readLocked(p *program, at int64, now time.Time) {
	if at > p.last {
		if p.last != 0 {
			p.interval = at - p.last
		}
		p.last, p.arrived = at, now.UnixNano()
	}
	if p.first == 0 {
		p.first = at
	}
	var balance [signals]float64
	for i := range p.points {
		key := r.byNumber[p.points[i].key]
		s, ok := signalIndex(key.signal)
		if !ok {
			continue
		}
		switch key.family {
		case received:
			balance[s] += p.points[i].value
		case delivered, queued, dropped:
			balance[s] -= p.points[i].value
		}
	}
	for s, difference := range balance {
		if difference <= 0 || p.lastEven[s] == 0 {
			p.lastEven[s] = now.UnixNano()
		}
	}
}

func (r *roster) seeNodeLocked(name string, now time.Time) {
	if _, ok := r.nodes[name]; !ok {
		if len(r.nodes) >= maxNodes || len(name) > 2*maxNameBytes || !r.roomLocked(nodeCost+len(name), now) {
			r.omitted++
			return
		}
		name = strings.Clone(name)
		r.bytes += nodeCost + len(name)
	}
	r.nodes[name] = now.UnixNano()
}

func (r *roster) removeNodeLocked(name string) {
	if _, ok := r.nodes[name]; ok {
		r.bytes -= nodeCost + len(name)
		delete(r.nodes, name)
	}
}
