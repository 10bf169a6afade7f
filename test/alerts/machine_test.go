//go:build e2e

package alerts

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/crowsnest-o11y/crowsnest/dashboards/rules"
)

// machine is what carries all nodes of the cluster. Alerts on nodes tell of it,
// whoever's work it does; it is watched from the test's begin by asking its kernel,
// so that they are believed only when they are right.
type machine struct {
	mutex   sync.Mutex
	moments []moment
	err     error // of the last look
}

// moment is what the kernel said at one time. Counters are since the start of the
// machine.
type moment struct {
	at             time.Time
	boot           time.Time
	unsynchronised bool
	maxError       float64            // of the clock, in seconds
	load           float64            // of a minute, per CPU
	busy, all      float64            // of all CPUs' time, in ticks
	oomKills       float64            // counter
	majorFaults    float64            // counter
	memory         float64            // percent in use
	free           float64            // percent of the root's file system
	waited         map[string]float64 // counter of seconds that requests waited, by disk
}

// lookEvery is shorter than any interval of ours; remember is as long as the
// longest range of an alert on the machine.
const (
	lookEvery = 5 * time.Second
	remember  = 6 * time.Hour
)

// watch looks until ctx ends.
func (m *machine) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		now, err := look()
		m.mutex.Lock()
		if m.err = err; err == nil {
			m.moments = append(m.moments, now)
		}
		if len(m.moments) > int(remember/lookEvery) {
			m.moments = slices.Delete(m.moments, 0, 1)
		}
		m.mutex.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// within are the moments from a time to another.
func (m *machine) within(from, to time.Time) []moment {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var found []moment
	for _, is := range m.moments {
		if !is.at.Before(from) && !is.at.After(to) {
			found = append(found, is)
		}
	}
	return found
}

// gap is the longest time since then without a look.
func (m *machine) gap(since time.Time) time.Duration {
	longest, before := time.Duration(0), since
	for _, is := range append(m.within(since, time.Now()), moment{at: time.Now()}) {
		longest, before = max(longest, is.at.Sub(before)), is.at
	}
	return longest
}

func look() (moment, error) {
	is := moment{at: time.Now(), waited: map[string]float64{}}
	return is, errors.Join(is.lookAtClock(), is.lookAtCPUs(), is.lookAtMemory(), is.lookAtDisks())
}

func (is *moment) lookAtClock() error {
	const unsynchronised = 0x40 // STA_UNSYNC
	var clock syscall.Timex
	if _, err := syscall.Adjtimex(&clock); err != nil {
		return fmt.Errorf("read clock's state: %w", err)
	}
	is.unsynchronised = clock.Status&unsynchronised != 0
	is.maxError = float64(clock.Maxerror) / 1e6
	return nil
}

func (is *moment) lookAtCPUs() error {
	cpus := 0
	err := lines("/proc/stat", func(fields []string) {
		switch {
		case fields[0] == "cpu":
			for n, ticks := range fields[1:9] { // guests are in user already
				is.all += number(ticks)
				if n != 3 && n != 4 { // idle, iowait
					is.busy += number(ticks)
				}
			}
		case strings.HasPrefix(fields[0], "cpu"):
			cpus++
		case fields[0] == "btime":
			is.boot = time.Unix(int64(number(fields[1])), 0)
		}
	})
	return errors.Join(err, lines("/proc/loadavg", func(fields []string) { is.load = number(fields[0]) / float64(cpus) }))
}

func (is *moment) lookAtMemory() error {
	var total, available float64
	err := lines("/proc/meminfo", func(fields []string) {
		switch fields[0] {
		case "MemTotal:":
			total = number(fields[1])
		case "MemAvailable:":
			available = number(fields[1])
		}
	})
	is.memory = 100 * (1 - available/total)
	return errors.Join(err, lines("/proc/vmstat", func(fields []string) {
		switch fields[0] {
		case "oom_kill":
			is.oomKills = number(fields[1])
		case "pgmajfault":
			is.majorFaults = number(fields[1])
		}
	}))
}

func (is *moment) lookAtDisks() error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs("/", &disk); err != nil {
		return fmt.Errorf("read state of file system: %w", err)
	}
	is.free = 100 * float64(disk.Bavail) / float64(disk.Blocks)
	return lines("/proc/diskstats", func(fields []string) { is.waited[fields[2]] = number(fields[13]) / 1e3 })
}

// lines gives each line of a file of the kernel's, in fields.
func lines(path string, take func(fields []string)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read kernel's statistics: %w", err)
	}
	for scanner := bufio.NewScanner(bytes.NewReader(text)); scanner.Scan(); {
		if fields := strings.Fields(scanner.Text()); len(fields) > 0 {
			take(fields)
		}
	}
	return nil
}

// number is 0 if text is none: nothing is confirmed by it then.
func number(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// measure is what an alert says of the machine, as the kernel has it.
type measure struct {
	window time.Duration // of its range
	bound  string        // name of the threshold among the alert's parameters; empty: none
	less   bool          // it fires below the threshold
	of     func(window []moment, a alert) float64
}

// measures are of all alerts that tell of the machine; what no one can say by
// another way is not among them, and fails the test.
var measures = map[string]measure{
	"NodeClockNotSynchronising": {window: 5 * time.Minute, of: func(w []moment, _ alert) float64 {
		for _, is := range w {
			if !is.unsynchronised || is.maxError < 15 { // 16 s and more at the last
				return 0
			}
		}
		return 1
	}},
	"NodeCPUHighUsage": {window: 2 * time.Minute, bound: "percent", of: func(w []moment, _ alert) float64 {
		return 100 * (last(w).busy - w[0].busy) / (last(w).all - w[0].all)
	}},
	"NodeSystemSaturation": {bound: "load", of: func(w []moment, _ alert) float64 { return last(w).load }},
	"NodeOOMKills":         {window: 15 * time.Minute, of: func(w []moment, _ alert) float64 { return last(w).oomKills - w[0].oomKills }},
	"NodeMemoryMajorPagesFaults": {window: 5 * time.Minute, bound: "rate", of: func(w []moment, _ alert) float64 {
		return (last(w).majorFaults - w[0].majorFaults) / seconds(w)
	}},
	"NodeMemoryHighUtilization": {bound: "percent", of: func(w []moment, _ alert) float64 { return last(w).memory }},
	"NodeDiskIOSaturation": {window: 5 * time.Minute, bound: "queue", of: func(w []moment, a alert) float64 {
		device := a.Labels["device"]
		return (last(w).waited[device] - w[0].waited[device]) / seconds(w)
	}},
	"NodeRebooted":                   {bound: "seconds", less: true, of: func(w []moment, _ alert) float64 { return last(w).at.Sub(last(w).boot).Seconds() }},
	"NodeFilesystemAlmostOutOfSpace": {bound: "percent", less: true, of: func(w []moment, a alert) float64 { return freeOf(a, last(w)) }},
	"NodeFilesystemSpaceFillingUp": {window: remember, bound: "percent", less: true, of: func(w []moment, a alert) float64 {
		hours := map[string]float64{"warning": 24, "critical": 4}[a.Labels["severity"]]
		if last(w).free+3600*hours*slope(w) > 1 { // nearly none
			return 100
		}
		return freeOf(a, last(w))
	}},
}

func last(w []moment) moment { return w[len(w)-1] }

func seconds(w []moment) float64 { return last(w).at.Sub(w[0].at).Seconds() }

// freeOf is of the machine's own disk; of no other it is known how full it is.
func freeOf(a alert, is moment) float64 {
	device := ""
	_ = lines("/proc/self/mounts", func(fields []string) { // without it, no device is the disk
		if fields[1] == "/" {
			device = fields[0]
		}
	})
	if a.Labels["device"] != device {
		return 100
	}
	return is.free
}

// slope is how the disk's free share changes in a second, by least squares.
func slope(w []moment) float64 {
	var x, y, xx, xy float64
	for _, is := range w {
		at := is.at.Sub(w[0].at).Seconds()
		x, y, xx, xy = x+at, y+is.free, xx+at*at, xy+at*is.free
	}
	n := float64(len(w))
	return (n*xy - x*y) / (n*xx - x*x)
}

const (
	// lag is how old may be what an alert is judged by: the intervals of the node's
	// metrics and of the rules, and the way from one to the other.
	lag = 2 * time.Minute
	// nearly is for Prometheus' and our looks not being at the same instants.
	nearly = 0.95
)

// confirms tells whether an alert that is pending or fires says what is true of
// the machine, and what the kernel says. Nothing before since is known to Prometheus.
func (m *machine) confirms(a alert, since time.Time) (saying string, right bool) {
	measure, known := measures[a.Labels["alertname"]]
	if !known || a.Labels["job"] != "node-exporter" {
		return "it is not about the machine", false
	}
	m.mutex.Lock()
	err := m.err
	m.mutex.Unlock()
	if err != nil {
		return err.Error(), false
	}
	bound, err := boundOf(a, measure.bound)
	if err != nil {
		return err.Error(), false
	}
	now := time.Now()
	recent := m.within(now.Add(-lag), now)
	value := 0.0
	for _, is := range slices.Backward(recent) {
		from := is.at.Add(-measure.window)
		if measure.window == remember && from.Before(since) {
			from = since
		}
		of := measure.of(m.within(from, is.at), a)
		if is.at.Equal(last(recent).at) {
			value = of
		}
		if measure.less && of < bound/nearly || !measure.less && of > bound*nearly {
			return fmt.Sprintf("the kernel says %.4g, threshold %.4g", of, bound), true
		}
	}
	return fmt.Sprintf("but the kernel says %.4g, threshold %.4g", value, bound), false
}

// boundOf is an alert's threshold as it is shipped.
func boundOf(a alert, parameter string) (float64, error) {
	if parameter == "" {
		return 0, nil
	}
	for _, f := range rules.Files() {
		for _, rule := range f.Alerts() {
			if rule.Name == a.Labels["alertname"] && rule.Severity == a.Labels["severity"] {
				return strconv.ParseFloat(rule.Params[parameter], 64)
			}
		}
	}
	return 0, fmt.Errorf("no rule is named %s", a)
}
