package statuspage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The bounds are those of the alerts of dashboards/rules, without their patience.
const (
	lagBytesBound   = 100e6
	lagSecondsBound = 300.0
	lately          = 15 * time.Minute
	silentAfter     = 2 * time.Minute

	runbooks = "https://github.com/crowsnest-o11y/crowsnest/blob/main/dashboards/runbooks/"

	// maxProblems is how many are listed; of one kind, the first names are.
	maxProblems = 50
	maxNames    = 5
)

// judge says how a program does.
func (p *Program) judge(now time.Time) State {
	silence := max(silentAfter, time.Duration(4*p.IntervalSeconds)*time.Second)
	switch {
	case now.Sub(p.LastSeen) > silence:
		return StateSilent
	case now.Sub(p.LastReading) > silence:
		return StateQuiet
	case p.losing(now):
		return StateLosing
	case p.LagBytes > lagBytesBound || p.LagSeconds > lagSecondsBound:
		return StateBehind
	}
	return StateOK
}

func (p *Program) losing(now time.Time) bool {
	if now.Sub(p.LostAt) < lately {
		return true
	}
	return slices.ContainsFunc(p.Drops, func(d Drop) bool { return now.Sub(d.Last) < lately })
}

// findProblems lists what a person should look at.
func (s *Status) findProblems(now time.Time) []Problem {
	problems := []Problem{}
	add := func(level Level, runbook, format string, args ...any) {
		if runbook != "" {
			runbook = runbooks + runbook + ".md"
		}
		problems = append(problems, Problem{level, fmt.Sprintf(format, args...), runbook})
	}
	for _, r := range s.Replicas {
		if r.Error != "" {
			add(Warning, "", "Aggregator at %s does not tell its part: %s.", cmp.Or(r.Address, r.Name), r.Error)
		}
	}
	for _, st := range s.Stores {
		switch st.State {
		case StoreFailing:
			add(Failure, "CrowsnestStoreUnavailable", "%s has taken no %s for %s: %s. Agents keep the data and send it again.", title(st.Store), st.Signal, age(now, st.Since), cmp.Or(st.Failure, "no reason given"))
		case StoreWaiting:
			add(Warning, "CrowsnestStoreSlow", "%s gave no answer for %s; %d requests wait.", title(st.Store), age(now, st.Since), st.Waiting)
		}
	}
	s.findAgentProblems(now, add)
	findProgramProblems("agent", s.Agents, now, add)
	findProgramProblems("aggregator", s.Aggregators, now, add)
	if s.Alerts != nil && s.Alerts.Error != "" {
		add(Notice, "", "Active alerts are not known: %s.", s.Alerts.Error)
	}
	if s.Omitted > 0 {
		add(Notice, "", "%d readings found no place within this page's memory; what it shows is not all.", s.Omitted)
	}
	rank := map[Level]int{Failure: 0, Warning: 1, Notice: 2}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank[a.Level], rank[b.Level]), cmp.Compare(a.Text, b.Text))
	})
	if over := len(problems) - maxProblems; over > 0 {
		problems = append(problems[:maxProblems], Problem{Level: Notice, Text: fmt.Sprintf("%d more are not listed.", over)})
	}
	return problems
}

type adder func(level Level, runbook, format string, args ...any)

// findAgentProblems tells of nodes and agents that are missing, in one sentence
// each: when a rack goes, it is one problem.
func (s *Status) findAgentProblems(now time.Time, add adder) {
	var without, silent, quiet []string
	for _, n := range s.Nodes {
		if !n.Agent && !isVirtual(n.Name) {
			without = append(without, n.Name)
		}
	}
	for _, a := range s.Agents {
		switch a.State {
		case StateSilent:
			silent = append(silent, fmt.Sprintf("%s (%s)", a.Name, age(now, a.LastSeen)))
		case StateQuiet:
			quiet = append(quiet, a.Name)
		}
	}
	if len(without) > 0 {
		add(Warning, "CrowsnestNodeWithoutAgent", "%s without an agent: %s.", count(len(without), "node"), list(without))
	}
	if len(silent) > 0 {
		add(Warning, "CrowsnestNodeWithoutAgent", "%s silent: %s.", count(len(silent), "agent"), list(silent))
	}
	if len(quiet) > 0 {
		add(Notice, "CrowsnestQueueOld", "%s sending log lines, but not the agent's own metrics: %s. These may wait in the spool.", count(len(quiet), "node"), list(quiet))
	}
}

// isVirtual is a node on which no agent can run.
func isVirtual(node string) bool {
	return strings.HasPrefix(node, "fargate-") || strings.HasPrefix(node, "virtual-")
}

// findProgramProblems tells each problem once, with the programs that have it:
// when a store is slow, a thousand agents lag.
func findProgramProblems(role string, programs []Program, now time.Time, add adder) {
	findDrops(role, programs, now, add)
	for i, signal := range signalNames {
		cases := worst(programs, func(p *Program) float64 {
			if len(p.Signals) <= i || p.Signals[i].UnaccountedSince.IsZero() {
				return 0
			}
			return p.Signals[i].Difference()
		})
		cases.add(Failure, "CrowsnestItemsUnaccounted", "%s received "+signal+" that the ledger cannot account for: %s.", role, quantity, add)
	}
	worst(programs, func(p *Program) float64 {
		if now.Sub(p.LostAt) < lately {
			return p.LostFiles
		}
		return 0
	}).add(Warning, "CrowsnestLogsLost", "%s lost log files that were deleted before they were read: %s.", role, quantity, add)
	worst(programs, func(p *Program) float64 { return above(p.LagBytes, lagBytesBound) }).
		add(Warning, "CrowsnestLogsLag", "%s with much of log files yet to deliver: %s.", role, byteSize, add)
	worst(programs, func(p *Program) float64 { return above(p.LagSeconds, lagSecondsBound) }).
		add(Warning, "CrowsnestQueueOld", "%s with a spool that is behind: %s.", role, func(v float64) string {
			return duration(time.Duration(v * float64(time.Second)))
		}, add)
}

func above(v, bound float64) float64 {
	if v > bound {
		return v
	}
	return 0
}

// affected are programs with a problem, the worst first.
type affected []affectedProgram

type affectedProgram struct {
	name  string
	value float64
}

// worst are the programs whose value is not 0.
func worst(programs []Program, value func(*Program) float64) affected {
	var all affected
	for i := range programs {
		if v := value(&programs[i]); v != 0 {
			all = append(all, affectedProgram{programs[i].Name, v})
		}
	}
	slices.SortStableFunc(all, func(a, b affectedProgram) int { return cmp.Compare(b.value, a.value) })
	return all
}

// add tells of them in one sentence, of which format has the number and the list.
func (a affected) add(level Level, runbook, format, role string, show func(float64) string, add adder) {
	if len(a) == 0 {
		return
	}
	names := make([]string, len(a))
	for i, c := range a {
		names[i] = fmt.Sprintf("%s (%s)", c.name, show(c.value))
	}
	add(level, runbook, format, count(len(a), role), list(names))
}

// findDrops tells of each cause of drops, of maxProblems at most.
func findDrops(role string, programs []Program, now time.Time, add adder) {
	type cause struct{ signal, component, reason string }
	last := map[cause]time.Time{}
	for _, p := range programs {
		for _, d := range p.Drops {
			if now.Sub(d.Last) < lately {
				c := cause{d.Signal, d.Component, d.Reason}
				if _, known := last[c]; known || len(last) < maxProblems {
					last[c] = later(last[c], d.Last)
				}
			}
		}
	}
	for c, at := range last {
		cases := worst(programs, func(p *Program) float64 {
			for _, d := range p.Drops {
				if (cause{d.Signal, d.Component, d.Reason}) == c && now.Sub(d.Last) < lately {
					return d.Items
				}
			}
			return 0
		})
		names := make([]string, len(cases))
		for i, k := range cases {
			names[i] = fmt.Sprintf("%s (%s in all)", k.name, quantity(k.value))
		}
		add(Warning, "CrowsnestItemsDropped", "%s of %s dropped %s, reason %s, the last %s ago: %s.",
			c.component, count(len(cases), role), c.signal, c.reason, age(now, at), list(names))
	}
}

func list(names []string) string {
	if over := len(names) - maxNames; over > 0 {
		return strings.Join(names[:maxNames], ", ") + fmt.Sprintf(" and %d more", over)
	}
	return strings.Join(names, ", ")
}
