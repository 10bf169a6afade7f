package statuspage

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// merge adds what another replica has seen; who told later is right.
func (s *Status) merge(other Status) {
	s.Cluster = cmp.Or(s.Cluster, other.Cluster)
	s.Omitted += other.Omitted
	s.Agents = mergePrograms(s.Agents, other.Agents)
	s.Aggregators = mergePrograms(s.Aggregators, other.Aggregators)
	s.Deliveries = append(s.Deliveries, other.Deliveries...)
	for _, n := range other.Nodes {
		i := slices.IndexFunc(s.Nodes, func(m Node) bool { return m.Name == n.Name })
		if i < 0 {
			s.Nodes = append(s.Nodes, n)
		} else {
			s.Nodes[i].LastSeen = later(s.Nodes[i].LastSeen, n.LastSeen)
		}
	}
}

func mergePrograms(ours, theirs []Program) []Program {
	byName := make(map[string]int, len(ours))
	for i, p := range ours {
		byName[p.Name] = i
	}
	for _, p := range theirs {
		i, ok := byName[p.Name]
		switch {
		case !ok:
			byName[p.Name] = len(ours)
			ours = append(ours, p)
		default:
			seen := later(ours[i].LastSeen, p.LastSeen)
			if p.LastReading.After(ours[i].LastReading) {
				ours[i] = p
			}
			ours[i].LastSeen = seen
		}
	}
	return ours
}

// derive fills in what follows from the rest: states, sums, problems.
func (s *Status) derive(now time.Time) {
	slices.SortFunc(s.Agents, byName)
	slices.SortFunc(s.Aggregators, byName)
	slices.SortFunc(s.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	for i := range s.Agents {
		s.Agents[i].State = s.Agents[i].judge(now)
	}
	for i := range s.Aggregators {
		s.Aggregators[i].State = s.Aggregators[i].judge(now)
	}
	s.matchNodes()
	s.Ledger = append(balance("agent", s.Agents), balance("aggregator", s.Aggregators)...)
	s.Stores = s.findStores(now)
	s.Problems = s.findProblems(now)
}

func byName(a, b Program) int { return cmp.Compare(a.Name, b.Name) }

// matchNodes tells which nodes have an agent.
func (s *Status) matchNodes() {
	agents := make(map[string]bool, len(s.Agents))
	for _, a := range s.Agents {
		agents[a.Name] = true
	}
	for i := range s.Nodes {
		s.Nodes[i].Agent = agents[s.Nodes[i].Name]
	}
}

// balance sums a ledger over programs.
func balance(role string, programs []Program) []Balance {
	if len(programs) == 0 {
		return nil
	}
	sums := make([]Balance, signals)
	for i, signal := range signalNames {
		sums[i] = Balance{Role: role, Programs: len(programs), Tally: Tally{Signal: signal}}
	}
	for _, p := range programs {
		for _, t := range p.Signals {
			i, ok := signalIndex(t.Signal)
			if !ok {
				continue
			}
			sum := &sums[i].Tally
			sum.Received += t.Received
			sum.Delivered += t.Delivered
			sum.Queued += t.Queued
			sum.Dropped += t.Dropped
			sum.ReceivedRate += t.ReceivedRate
			sum.DeliveredRate += t.DeliveredRate
			if !t.UnaccountedSince.IsZero() && (sum.UnaccountedSince.IsZero() || t.UnaccountedSince.Before(sum.UnaccountedSince)) {
				sum.UnaccountedSince = t.UnaccountedSince
			}
		}
	}
	return sums
}

// storeSignals are the signals of the stores that have metrics of their own.
var storeSignals = map[string]string{"loki": "logs", "prometheus": "metrics", "jaeger": "traces"}

// failingAfter is how long a store may refuse, or an answer take, before it is
// said: a restart of an agent cuts off its requests, too.
const failingAfter = 10 * time.Second

// failureHolds is how long a failure tells of now: senders repeat sooner.
const failureHolds = 2 * time.Minute

// findStores gathers what all aggregators tell of each store. A pipeline that
// ends elsewhere is shown by its answers alone.
func (s *Status) findStores(now time.Time) []Store {
	stores := []Store{}
	find := func(store, component, signal string) *Store {
		for i := range stores {
			if stores[i].Store == store && stores[i].Component == component {
				return &stores[i]
			}
		}
		stores = append(stores, Store{Store: store, Component: component, Signal: signal, Answers: []CodeCount{}})
		return &stores[len(stores)-1]
	}
	for _, p := range s.Aggregators {
		for _, r := range p.Requests {
			find(r.Store, r.Component, storeSignals[r.Store]).addAnswers(r)
		}
	}
	for _, signal := range signalNames {
		if !slices.ContainsFunc(stores, func(st Store) bool { return st.Signal == signal }) && s.delivers(signal) {
			find("pipeline", signal, signal)
		}
	}
	for i := range stores {
		stores[i].addItems(s.Aggregators)
		stores[i].judge(s.Deliveries, now)
	}
	slices.SortFunc(stores, func(a, b Store) int {
		ai, _ := signalIndex(a.Signal)
		bi, _ := signalIndex(b.Signal)
		return cmp.Or(cmp.Compare(ai, bi), cmp.Compare(a.Component, b.Component))
	})
	return stores
}

func (s *Status) delivers(signal string) bool {
	return slices.ContainsFunc(s.Deliveries, func(d Delivery) bool {
		return d.Signal == signal && (d.Waiting > 0 || !d.LastSuccess.IsZero() || !d.LastFailure.IsZero())
	})
}

func isSuccess(code string) bool {
	return code == "OK" || len(code) == 3 && code[0] == '2'
}

func (st *Store) addAnswers(r Request) {
	i := slices.IndexFunc(st.Answers, func(c CodeCount) bool { return c.Code == r.Code })
	if i < 0 {
		i = len(st.Answers)
		st.Answers = append(st.Answers, CodeCount{Code: r.Code})
	}
	st.Answers[i].Total += r.Total
	st.Answers[i].Rate += r.Rate
	if isSuccess(r.Code) {
		st.LastSuccess = later(st.LastSuccess, r.Last)
	} else if r.Last.After(st.LastFailure) {
		st.LastFailure, st.Failure = r.Last, codeText(r.Code)
	}
}

func codeText(code string) string {
	switch {
	case code == "none":
		return "no answer (connection refused, or none in time)"
	case len(code) == 3 && strings.Trim(code, "0123456789") == "":
		return "HTTP " + code
	default:
		return "gRPC " + code
	}
}

func (st *Store) addItems(aggregators []Program) {
	for _, p := range aggregators {
		for _, c := range p.Components {
			if c.Signal == st.Signal && c.Component == st.Component {
				st.Delivered += c.Delivered
				st.Rate += c.DeliveredRate
			}
		}
		for _, d := range p.Drops {
			if d.Signal == st.Signal && d.Component == st.Component {
				st.Dropped += d.Items
			}
		}
	}
}

// judge takes what the pipelines saw, which is newer than the metrics.
func (st *Store) judge(deliveries []Delivery, now time.Time) {
	st.State = StoreOK
	for _, d := range deliveries {
		if d.Signal != st.Signal {
			continue
		}
		st.Waiting += d.Waiting
		st.LastSuccess = later(st.LastSuccess, d.LastSuccess)
		if d.Failure != "" && !d.LastFailure.Before(st.LastFailure) {
			st.LastFailure, st.Failure = d.LastFailure, d.Failure
		}
		switch {
		case !d.FailingSince.IsZero() && now.Sub(d.FailingSince) > failingAfter && (d.Waiting > 0 || now.Sub(d.LastFailure) < failureHolds):
			st.degrade(StoreFailing, d.FailingSince)
		case d.Waiting > 0 && now.Sub(d.WaitingSince) > failingAfter && st.LastFailure.After(d.WaitingSince):
			// The exporter repeats what the store refuses, so no answer came back yet.
			st.degrade(StoreFailing, d.WaitingSince)
		case d.Waiting > 0 && now.Sub(d.WaitingSince) > failingAfter && st.State != StoreFailing:
			st.degrade(StoreWaiting, d.WaitingSince)
		}
	}
	if st.State == StoreOK && st.LastSuccess.IsZero() && st.LastFailure.IsZero() {
		st.State = StoreIdle
	}
}

func (st *Store) degrade(to StoreState, since time.Time) {
	if st.State != to || since.Before(st.Since) {
		st.Since = since
	}
	st.State = to
}
