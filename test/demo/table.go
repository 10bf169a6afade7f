package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/crowsnest-o11y/crowsnest/test/process"
	"github.com/crowsnest-o11y/crowsnest/test/system"
)

// table shows how the system does: on a terminal in place, once a second, else
// as a line every ten seconds.
type table struct {
	w        io.Writer
	system   *system.System
	inPlace  bool
	interval time.Duration
	start    time.Time
	cpu      map[string]cpuMark // at the last look

	mu    sync.Mutex // guards w and drawn
	drawn int        // lines of the table on the screen
}

type cpuMark struct {
	at   time.Time
	used time.Duration
}

func newTable(f *os.File, s *system.System) *table {
	t := &table{w: f, system: s, interval: 10 * time.Second, start: time.Now(), cpu: map[string]cpuMark{}}
	if term.IsTerminal(int(f.Fd())) {
		t.inPlace, t.interval = true, time.Second
	}
	return t
}

// run draws until the context ends; a program that ended by itself is an error.
func (t *table) run(ctx context.Context) error {
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := t.system.Err(); err != nil {
				return err
			}
			if state := t.look(ctx); ctx.Err() == nil {
				t.draw(state)
			}
		}
	}
}

// say prints a remark between two states.
func (t *table) say(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drawn = 0 // leave the last table where it is
	fmt.Fprintf(t.w, "%s %s\n", t.clock(), text)
}

func (t *table) clock() string {
	return fmt.Sprintf("[%4ds]", int(time.Since(t.start).Seconds()))
}

// look asks the stores; one that does not answer says so in its row.
func (t *table) look(ctx context.Context) [][2]string {
	s := t.system
	found, newest, err := s.FoundLines(ctx)
	logs := fmt.Sprintf("%d lines written", s.Node.Written())
	if err != nil {
		logs += ", Loki: " + short(err)
	} else {
		logs += fmt.Sprintf(", %d found in Loki%s", found, age(newest))
	}
	metrics := ""
	if n, newest, err := s.ActiveSeries(ctx); err != nil {
		metrics = "Prometheus: " + short(err)
	} else {
		metrics = fmt.Sprintf("%d active series in Prometheus%s", n, age(newest))
	}
	traces := ""
	if r, newest, err := s.FoundTraces(ctx); err != nil {
		traces = "Jaeger: " + short(err)
	} else {
		traces = fmt.Sprintf("%d sent, %d found in Jaeger%s", r.Made, r.Found, age(newest))
	}
	return [][2]string{{"logs", logs}, {"metrics", metrics}, {"traces", traces},
		{"agent", t.usage("agent", s.Agent.Process)}, {"aggregator", t.usage("aggregator", s.Aggregator.Process)}}
}

// age is the delay of what was found last: how old it is now.
func age(newest time.Time) string {
	if newest.IsZero() {
		return ""
	}
	return fmt.Sprintf(", the newest %.1f s old", max(0, time.Since(newest).Seconds()))
}

func (t *table) usage(name string, p *process.Process) string {
	u, err := p.Usage()
	if err != nil {
		return short(err)
	}
	now := time.Now()
	last := t.cpu[name]
	t.cpu[name] = cpuMark{now, u.CPU}
	text := fmt.Sprintf("%d MiB", u.RSSBytes>>20)
	if u.CPU >= last.used && !last.at.IsZero() {
		text += fmt.Sprintf(", %.1f %% of a core", 100*(u.CPU-last.used).Seconds()/now.Sub(last.at).Seconds())
	}
	return text
}

func (t *table) draw(rows [][2]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.inPlace {
		fmt.Fprintf(t.w, "%s", t.clock())
		for i, row := range rows {
			fmt.Fprintf(t.w, "%s %s: %s", [...]string{"", ";"}[min(i, 1)], row[0], row[1])
		}
		fmt.Fprintln(t.w)
		return
	}
	if t.drawn > 0 {
		fmt.Fprintf(t.w, "\x1b[%dA", t.drawn)
	}
	fmt.Fprintf(t.w, "\x1b[K%s\n", t.clock())
	for _, row := range rows {
		fmt.Fprintf(t.w, "\x1b[K  %-12s%s\n", row[0], row[1])
	}
	t.drawn = len(rows) + 1
}

// short is the end of an error, which says what happened, in one line.
func short(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}
