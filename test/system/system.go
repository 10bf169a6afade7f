package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/process"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// Cluster is the name that the agent gives to where it is.
const Cluster = "demo"

// Options of a system; the zero value works once the programs are built.
type Options struct {
	Dir string // of everything; "" = a temporary one, removed by Stop
	Bin string // folder of crowsnest-agent and crowsnest-aggregator; "" = bin/ of the project
	// Node says what the node produces; folder and endpoints are filled in.
	Node nodesim.Config
	// MetricsInterval is the agent's, 15 s if 0.
	MetricsInterval time.Duration
	// LokiUnlimited lifts Loki's limits by rate (4 MB/s by default).
	LokiUnlimited bool
	// Further configuration of the programs: --config arguments and environment.
	AgentConfigs, AggregatorConfigs []string
	AgentEnv, AggregatorEnv         []string
	Log                             io.Writer // progress; nil = os.Stderr
}

// System is running. Its programs can be killed, paused and restarted.
type System struct {
	Dir        string
	Prometheus *stores.Prometheus
	Loki       *stores.Loki
	Jaeger     *stores.Jaeger
	Node       *nodesim.Node
	Agent      *Program
	Aggregator *Program

	remove bool
	start  time.Time
	otlp   string // host:port of the aggregator
	client *http.Client

	mu     sync.Mutex // guards what the verification remembers
	lines  *lineReader
	traces map[string]bool // found complete, by id
	stored map[string]bool // found in Jaeger, by id
}

// Start starts everything and returns when all programs are ready. On error
// nothing is left running.
func Start(ctx context.Context, o Options) (*System, error) {
	s := &System{Dir: o.Dir, start: time.Now(), traces: map[string]bool{}, stored: map[string]bool{}, client: &http.Client{Transport: &http.Transport{}}}
	s.lines = newLineReader(s.start)
	if err := s.run(ctx, o); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *System) run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if o.Bin == "" {
		_, file, _, _ := runtime.Caller(0)
		o.Bin = filepath.Join(filepath.Dir(file), "..", "..", "bin")
	}
	for _, name := range []string{agentName, aggregatorName} {
		if _, err := os.Stat(filepath.Join(o.Bin, name)); err != nil {
			return fmt.Errorf("find %s: %w (run `make build` first)", name, err)
		}
	}
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := s.startStores(ctx, o); err != nil {
		return err
	}
	fmt.Fprintln(o.Log, "starting aggregator, node and agent")
	var err error
	if s.Aggregator, err = s.startAggregator(ctx, o); err != nil {
		return err
	}
	if err := s.startNodeAndAgent(ctx, o); err != nil {
		return err
	}
	// Their own metrics: the ledger can be asked for in Prometheus, too.
	return s.Prometheus.SetScrapeTargets(ctx, s.Aggregator.Metrics, s.Agent.Metrics)
}

func (s *System) makeDir() error {
	var err error
	if s.Dir == "" {
		s.remove = true
		s.Dir, err = os.MkdirTemp("", "crowsnest-")
	} else if s.Dir, err = filepath.Abs(s.Dir); err == nil {
		err = os.MkdirAll(s.Dir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

func (s *System) startStores(ctx context.Context, o Options) error {
	if err := stores.BuildAll(ctx, o.Log); err != nil {
		return err
	}
	fmt.Fprintln(o.Log, "starting Prometheus, Loki and Jaeger")
	var err error
	if s.Prometheus, err = stores.StartPrometheus(ctx, stores.Options{Dir: filepath.Join(s.Dir, "prometheus")}); err != nil {
		return err
	}
	if s.Loki, err = stores.StartLoki(ctx, stores.Options{Dir: filepath.Join(s.Dir, "loki"), Unlimited: o.LokiUnlimited}); err != nil {
		return err
	}
	s.Jaeger, err = stores.StartJaeger(ctx, stores.Options{Dir: filepath.Join(s.Dir, "jaeger"), MetricsURL: s.Prometheus.URL})
	return err
}

// startNodeAndAgent starts the node first, whose pods already send to where the
// agent will listen; so a port taken meanwhile means to begin anew.
func (s *System) startNodeAndAgent(ctx context.Context, o Options) error {
	for attempt := 1; ; attempt++ {
		ports, err := newAgentPorts()
		if err != nil {
			return err
		}
		c := o.Node
		c.Dir = filepath.Join(s.Dir, fmt.Sprintf("node-%d", attempt))
		if err := os.MkdirAll(c.Dir, 0o755); err != nil {
			return fmt.Errorf("make folder of the node: %w", err)
		}
		if c.TracesPerSecond > 0 {
			c.OTLPEndpoint, c.JaegerGRPC, c.JaegerThriftHTTP, c.Zipkin = ports.otlpGRPC, ports.jaegerGRPC, ports.jaegerHTTP, ports.zipkin
		}
		if s.Node, err = nodesim.Start(ctx, c); err != nil {
			return err
		}
		s.Agent, err = s.startAgent(ctx, o, c, ports)
		var exit *process.ExitError
		if err == nil || attempt == startAttempts || !errors.As(err, &exit) || !exit.AddressInUse() {
			return err
		}
		if err := s.Node.Close(); err != nil {
			return err
		}
	}
}

// Stop ends everything and removes the folder if Options.Dir was empty. Programs
// that had ended by themselves are its error.
func (s *System) Stop() error {
	var errs []error
	if s.Node != nil {
		errs = append(errs, s.Node.Close())
	}
	for _, p := range []*Program{s.Agent, s.Aggregator} {
		if p != nil {
			errs = append(errs, p.Stop())
		}
	}
	s.client.CloseIdleConnections()
	if s.Prometheus != nil {
		errs = append(errs, s.Prometheus.Stop())
	}
	if s.Loki != nil {
		errs = append(errs, s.Loki.Stop())
	}
	if s.Jaeger != nil {
		errs = append(errs, s.Jaeger.Stop())
	}
	if s.remove && s.Dir != "" {
		errs = append(errs, os.RemoveAll(s.Dir))
	}
	return errors.Join(errs...)
}

// Err is the first program's that ended by itself, or the node's.
func (s *System) Err() error {
	errs := []error{s.Node.Err()}
	for _, p := range []*process.Process{s.Agent.Process, s.Aggregator.Process, s.Prometheus.Process, s.Loki.Process, s.Jaeger.Process} {
		errs = append(errs, p.Err())
	}
	return errors.Join(errs...)
}
