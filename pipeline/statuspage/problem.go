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
	for role, programs := range map[string][]Program{"agent": s.Agents, "aggregator": s.Aggregators} {
		for _, p := range programs {
			p.findProblems(role, now, add)
		}
	}
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

func (p *Program) findProblems(role string, now time.Time, add adder) {
	for _, d := range p.Drops {
		if now.Sub(d.Last) < lately {
			add(Warning, "CrowsnestItemsDropped", "%s of %s %s drops %s: %s in all, reason %s, the last %s ago.", d.Component, role, p.Name, d.Signal, quantity(d.Items), d.Reason, age(now, d.Last))
		}
	}
	for _, t := range p.Signals {
		if !t.UnaccountedSince.IsZero() {
			add(Failure, "CrowsnestItemsUnaccounted", "The ledger of %s %s cannot account for %s %s since %s.", role, p.Name, quantity(t.Difference()), t.Signal, age(now, t.UnaccountedSince))
		}
	}
	if now.Sub(p.LostAt) < lately {
		add(Warning, "CrowsnestLogsLost", "Log files of node %s went before they were read: %s.", p.Name, quantity(p.LostFiles))
	}
	if p.LagBytes > lagBytesBound {
		add(Warning, "CrowsnestLogsLag", "%s of log files on %s wait for delivery.", byteSize(p.LagBytes), p.Name)
	}
	if p.LagSeconds > lagSecondsBound {
		add(Warning, "CrowsnestQueueOld", "The spool of %s %s is %s behind.", role, p.Name, duration(time.Duration(p.LagSeconds*float64(time.Second))))
	}
}

func list(names []string) string {
	if over := len(names) - maxNames; over > 0 {
		return strings.Join(names[:maxNames], ", ") + fmt.Sprintf(" and %d more", over)
	}
	return strings.Join(names, ", ")
}
