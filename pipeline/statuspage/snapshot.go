package statuspage

import (
	"cmp"
	"slices"
	"time"
)

// evenWithin is how lately a ledger must have been even: while items move, its
// counters are read a moment apart.
const evenWithin = 10 * time.Minute

// snapshot is what the roster knows, without what is derived from it.
func (r *roster) snapshot(now time.Time) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetLocked(now)
	s := Status{Time: now.UTC(), Cluster: r.cluster, Omitted: r.omitted, Agents: []Program{}, Aggregators: []Program{}, Nodes: []Node{}}
	for key, p := range r.programs {
		shown := r.showLocked(key.name, p, now)
		if key.role == agent {
			s.Agents = append(s.Agents, shown)
		} else {
			s.Aggregators = append(s.Aggregators, shown)
		}
	}
	for name, seen := range r.nodes {
		s.Nodes = append(s.Nodes, Node{Name: name, LastSeen: unixTime(seen)})
	}
	return s
}

func (r *roster) showLocked(name string, p *program, now time.Time) Program {
	shown := Program{
		Name: name, Namespace: p.namespace, Pod: p.pod, Version: p.version,
		LastSeen: unixTime(p.arrived), LastReading: unixTime(p.arrived), IntervalSeconds: time.Duration(p.interval).Seconds(),
		Signals: make([]Tally, signals),
	}
	for i, signal := range signalNames {
		shown.Signals[i].Signal = signal
	}
	for _, pt := range p.points {
		r.addLocked(&shown, pt)
	}
	for i := range shown.Signals {
		t := &shown.Signals[i]
		if t.Difference() > 0 && now.Sub(unixTime(p.lastEven[i])) > evenWithin {
			t.UnaccountedSince = unixTime(p.lastEven[i])
		}
	}
	slices.SortFunc(shown.Drops, func(a, b Drop) int {
		return cmp.Or(cmp.Compare(b.Items, a.Items), cmp.Compare(a.Signal, b.Signal), cmp.Compare(a.Component, b.Component), cmp.Compare(a.Reason, b.Reason))
	})
	slices.SortFunc(shown.Requests, func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Store, b.Store), cmp.Compare(a.Component, b.Component), cmp.Compare(a.Code, b.Code))
	})
	slices.SortFunc(shown.Components, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.Signal, b.Signal), cmp.Compare(a.Component, b.Component))
	})
	return shown
}

// addLocked adds a series to what is shown of its program.
func (r *roster) addLocked(shown *Program, pt point) {
	key := r.byNumber[pt.key]
	switch key.family {
	case logsLag:
		shown.LagBytes += pt.value
	case lostFiles:
		shown.LostFiles += pt.value
		shown.LostAt = later(shown.LostAt, unixTime(pt.changed))
	case spoolAge:
		shown.LagSeconds = max(shown.LagSeconds, pt.value)
	case spoolSize:
		shown.SpoolBytes += pt.value
	case lokiRequests:
		addRequest(shown, "loki", key, pt)
	case prometheusRequests:
		addRequest(shown, "prometheus", key, pt)
	case jaegerRequests:
		addRequest(shown, "jaeger", key, pt)
	default:
		addItems(shown, key, pt)
	}
}

func addRequest(shown *Program, store string, key seriesKey, pt point) {
	shown.Requests = append(shown.Requests, Request{
		Store: store, Component: key.component, Code: key.detail, Total: pt.value, Rate: pt.rate, Last: unixTime(pt.changed),
	})
}

// addItems adds a series of the ledger.
func addItems(shown *Program, key seriesKey, pt point) {
	i, ok := signalIndex(key.signal)
	if !ok {
		return
	}
	t := &shown.Signals[i]
	switch key.family {
	case received:
		t.Received += pt.value
		t.ReceivedRate += pt.rate
	case delivered:
		t.Delivered += pt.value
		t.DeliveredRate += pt.rate
		if pt.value > 0 {
			shown.Components = append(shown.Components, Component{key.signal, key.component, pt.value, pt.rate})
		}
	case queued:
		t.Queued += pt.value
	case dropped:
		t.Dropped += pt.value
		if pt.value > 0 {
			shown.Drops = append(shown.Drops, Drop{key.signal, key.component, key.detail, pt.value, unixTime(pt.changed)})
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
