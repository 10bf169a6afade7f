// Command node measures both programs on a full node: 110 pods, 10,000 log
// lines a second, traces and the kubelet's pages, into real stores. Loki's
// default limits refuse part of that rate, so both programs also bear a store
// that answers 429; -limits=false raises them.
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
	"github.com/crowsnest-o11y/crowsnest/test/process"
	"github.com/crowsnest-o11y/crowsnest/test/system"
)

func main() {
	o := options{}
	flag.IntVar(&o.pods, "pods", 110, "pods of the node")
	flag.Float64Var(&o.lines, "lines", 10_000, "log lines per second of the whole node")
	flag.Float64Var(&o.traces, "traces", 20, "traces per second")
	flag.DurationVar(&o.warm, "warm", 20*time.Second, "time before the measurement")
	flag.DurationVar(&o.time, "time", 40*time.Second, "time of the measurement")
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
	limits        bool
	profiles, bin string
}

func run(ctx context.Context, o options) (err error) {
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return err
	}
	s, err := system.Start(ctx, system.Options{Bin: bin, LokiUnlimited: !o.limits, Node: nodesim.Config{
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
	programs := []*system.Program{s.Agent, s.Aggregator}
	most := make([]int64, len(programs))
	before := make([]process.Usage, len(programs))
	for i, p := range programs {
		if before[i], err = p.Usage(); err != nil {
			return err
		}
	}
	written, start := s.Node.Written(), time.Now()
	for time.Since(start) < o.time {
		for i, p := range programs {
			u, err := p.Usage()
			if err != nil {
				return err
			}
			most[i] = max(most[i], u.RSSBytes)
		}
		time.Sleep(200 * time.Millisecond)
	}
	elapsed := time.Since(start)
	fmt.Printf("%d pods, %.0f lines/s written\n", o.pods, float64(s.Node.Written()-written)/elapsed.Seconds())
	for i, p := range programs {
		u, err := p.Usage()
		if err != nil {
			return err
		}
		fmt.Printf("%-11s at most %d MiB, %.1f %% of a core\n", []string{"agent", "aggregator"}[i], most[i]>>20,
			100*(u.CPU-before[i].CPU).Seconds()/elapsed.Seconds())
		if o.profiles != "" {
			if err := saveHeap(ctx, p, filepath.Join(o.profiles, []string{"agent", "aggregator"}[i]+".heap")); err != nil {
				return err
			}
		}
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
