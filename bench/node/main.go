// Command node measures both programs on a full node: 110 pods, 10,000 log
// lines a second, traces, the kubelet's pages, the node's own metrics and the
// agent's, into real stores; of what the agent runs by default only that is
// missing which needs an API server or a container runtime. Loki's default
// limits refuse part of the rate, so both programs also bear a store that
// answers 429; -limits=false raises them.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/system"
)

func main() {
	o := options{}
	flag.IntVar(&o.pods, "pods", 110, "pods of the node")
	flag.Float64Var(&o.lines, "lines", 10_000, "log lines per second of the whole node")
	flag.Float64Var(&o.traces, "traces", 20, "traces per second")
	flag.DurationVar(&o.warm, "warm", 20*time.Second, "time before the measurement")
	flag.DurationVar(&o.time, "time", 40*time.Second, "time of the measurement")
	flag.DurationVar(&o.rest, "rest", 20*time.Second, "time without lines and traces after it")
	flag.BoolVar(&o.limits, "limits", true, "leave Loki its default limits")
	flag.StringVar(&o.profiles, "profiles", "", "folder for heap profiles of both programs")
	flag.StringVar(&o.bin, "bin", "bin", "folder of the two programs")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

type options struct {
	pods          int
	lines, traces float64
	warm, time    time.Duration
	rest          time.Duration
	limits        bool
	profiles, bin string
}

func run(ctx context.Context, o options) (err error) {
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return err
	}
	s, err := system.Start(ctx, system.Options{Bin: bin, LokiUnlimited: !o.limits,
		AgentConfigs: []string{"embedded:agent/node", "embedded:agent/applications"},
		AgentEnv:     []string{"CROWSNEST_MONITORS=false"},
		Node: nodesim.Config{
			Pods: o.pods, LinesPerSecond: o.lines, TracesPerSecond: o.traces, Seed: 8}})
	if err != nil {
		return err
	}
	defer func() {
		if stopped := s.Stop(); err == nil {
			err = stopped
		}
	}()
	time.Sleep(o.warm)
	written, start := s.Node.Written(), time.Now()
	measures := []*measure{{name: "agent", program: s.Agent}, {name: "aggregator", program: s.Aggregator}}
	for {
		for _, m := range measures {
			if err := m.look(); err != nil {
				return err
			}
		}
		if time.Since(start) >= o.time {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	elapsed := time.Since(start).Seconds()
	fmt.Printf("%d pods, %.0f lines/s written\n", o.pods, float64(s.Node.Written()-written)/elapsed)
	for _, m := range measures {
		m.report(elapsed)
		if o.profiles != "" {
			if err := saveHeap(ctx, m.program, filepath.Join(o.profiles, m.name+".heap")); err != nil {
				return err
			}
		}
	}
	s.Node.StopWriting()
	time.Sleep(o.rest)
	return reportRest(measures)
}

// measure is what a program took while it was looked at.
type measure struct {
	name        string
	program     *system.Program
	first, last time.Duration // of CPU
	looks       int64
	sum         int64         // of resident bytes
	most        system.Memory // when most was resident
}

func (m *measure) look() error {
	u, err := m.program.Usage()
	if err != nil {
		return err
	}
	if m.last = u.CPU; m.looks == 0 {
		m.first = u.CPU
	}
	now, err := m.program.Memory()
	if err != nil {
		return err
	}
	m.looks++
	m.sum += now.Resident
	if now.Resident > m.most.Resident {
		m.most = now
	}
	return nil
}

// report says what the program took under load; Peak is since its start.
func (m *measure) report(elapsed float64) {
	fmt.Printf("%-11s RSS mean %d, at most %s; since its start at most %d MiB; %.1f %% of a core\n", m.name,
		m.sum/m.looks>>20, parts(m.most), m.most.Peak>>20, 100*(m.last-m.first).Seconds()/elapsed)
}

func parts(m system.Memory) string {
	return fmt.Sprintf("%d MiB (its own %d, its file's %d)", m.Resident>>20, m.Anonymous>>20, m.File>>20)
}

// reportRest says what the programs take when there are no more lines.
func reportRest(measures []*measure) error {
	for _, m := range measures {
		now, err := m.program.Memory()
		if err != nil {
			return err
		}
		fmt.Printf("%-11s RSS at rest %s\n", m.name, parts(now))
	}
	return nil
}

func saveHeap(ctx context.Context, p *system.Program, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.PProf+"/debug/pprof/heap", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("get heap profile: %w", err)
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil {
		return fmt.Errorf("save heap profile: %w", err)
	}
	return f.Close()
}
