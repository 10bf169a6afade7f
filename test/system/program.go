package system

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/process"
)

// fragmentsOf are the embedded fragments that each program runs here: what needs
// no API server.
var fragmentsOf = map[string][]string{
	"agent":      {"logs", "metrics", "traces"},
	"aggregator": {"logs", "metrics", "traces", "spanmetrics"},
}

const (
	agentName      = "crowsnest-agent"
	aggregatorName = "crowsnest-aggregator"

	startAttempts = 3
)

// Program is the agent or the aggregator.
type Program struct {
	*process.Process
	Metrics string // host:port of its own /metrics
	Health  string // host:port that answers 200 when all components started
	ZPages  string // host:port of /debug/pipelinez and others
	PProf   string // host:port of /debug/pprof
	Status  string // host:port of the aggregator's status page

	client *http.Client
}

type agentPorts struct{ otlpGRPC, otlpHTTP, jaegerGRPC, jaegerHTTP, zipkin string }

func newAgentPorts() (agentPorts, error) {
	p, err := addresses(5)
	if err != nil {
		return agentPorts{}, err
	}
	return agentPorts{p[0], p[1], p[2], p[3], p[4]}, nil
}

func addresses(n int) ([]string, error) {
	ports, err := process.FreePorts(n)
	if err != nil {
		return nil, err
	}
	all := make([]string, n)
	for i, p := range ports {
		all[i] = "127.0.0.1:" + strconv.Itoa(p)
	}
	return all, nil
}

func (s *System) startAggregator(ctx context.Context, o Options) (*Program, error) {
	for attempt := 1; ; attempt++ {
		ports, err := addresses(2)
		if err != nil {
			return nil, err
		}
		env := append([]string{
			"K8S_CLUSTER_NAME=" + Cluster,
			"POD_NAME=aggregator-0",
			"CROWSNEST_SPAN_METRICS_INTERVAL=2s",
			"CROWSNEST_OTLP_GRPC_ENDPOINT=" + ports[0],
			"CROWSNEST_STATUS_ENDPOINT=" + ports[1],
			"CROWSNEST_STATUS_PROMETHEUS=" + s.Prometheus.URL,
			"CROWSNEST_LOKI_ENDPOINT=" + s.Loki.URL,
			"CROWSNEST_REMOTE_WRITE_ENDPOINT=" + s.Prometheus.URL + "/api/v1/write",
			"CROWSNEST_JAEGER_ENDPOINT=" + s.Jaeger.OTLPGRPC,
		}, o.AggregatorEnv...)
		p, err := s.startProgram(ctx, filepath.Join(o.Bin, aggregatorName), "aggregator", o.AggregatorConfigs, env)
		var exit *process.ExitError
		if err != nil && attempt < startAttempts && errors.As(err, &exit) && exit.AddressInUse() {
			continue
		}
		if err == nil {
			s.otlp, p.Status = ports[0], ports[1]
		}
		return p, err
	}
}

func (s *System) startAgent(ctx context.Context, o Options, c nodesim.Config, ports agentPorts) (*Program, error) {
	node := c.NodeName
	if node == "" {
		node = "lab-1"
	}
	env := []string{
		"K8S_NODE_NAME=" + node,
		"K8S_CLUSTER_NAME=" + Cluster,
		"CROWSNEST_AGGREGATOR_ENDPOINT=" + s.otlp,
		"CROWSNEST_POD_SOURCE=kubelet",
		"CROWSNEST_KUBELET_ENDPOINT=" + s.Node.KubeletURL,
		"CROWSNEST_KUBELET_CA_FILE=" + s.Node.CAFile,
		"CROWSNEST_TOKEN_FILE=" + s.Node.TokenFile,
		"CROWSNEST_POD_LOGS=" + s.Node.PodsDir,
		"CROWSNEST_DATA_DIR=" + filepath.Join(s.Dir, "agent"),
		"CROWSNEST_OTLP_GRPC_ENDPOINT=" + ports.otlpGRPC,
		"CROWSNEST_OTLP_HTTP_ENDPOINT=" + ports.otlpHTTP,
		"CROWSNEST_JAEGER_GRPC_ENDPOINT=" + ports.jaegerGRPC,
		"CROWSNEST_JAEGER_HTTP_ENDPOINT=" + ports.jaegerHTTP,
		"CROWSNEST_ZIPKIN_ENDPOINT=" + ports.zipkin,
	}
	if o.MetricsInterval != 0 {
		env = append(env, "CROWSNEST_METRICS_INTERVAL="+o.MetricsInterval.String())
	}
	return s.startProgram(ctx, filepath.Join(o.Bin, agentName), "agent", o.AgentConfigs, append(env, o.AgentEnv...))
}

// startProgram runs a program with the three signals' embedded fragments and
// further configuration over them.
func (s *System) startProgram(ctx context.Context, path, name string, configs, env []string) (*Program, error) {
	ports, err := addresses(4)
	if err != nil {
		return nil, err
	}
	p := &Program{Metrics: ports[0], Health: ports[1], ZPages: ports[2], PProf: ports[3], client: s.client}
	var args []string
	for _, fragment := range fragmentsOf[name] {
		args = append(args, "--config", "embedded:"+name+"/"+fragment)
	}
	for _, c := range configs {
		args = append(args, "--config", c)
	}
	host, port, _ := strings.Cut(p.Metrics, ":")
	env = append([]string{
		"CROWSNEST_HEALTH_ENDPOINT=" + p.Health, "CROWSNEST_ZPAGES_ENDPOINT=" + p.ZPages, "CROWSNEST_PPROF_ENDPOINT=" + p.PProf,
		"CROWSNEST_METRICS_HOST=" + host, "CROWSNEST_METRICS_PORT=" + port,
	}, env...)
	p.Process, err = process.Start(ctx, process.Options{
		Name: filepath.Base(path), Path: path, Args: args, Env: env,
		LogPath: filepath.Join(s.Dir, filepath.Base(path)+".log"),
		Ready:   p.ready,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Program) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Health+"/", nil)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health is HTTP %d", resp.StatusCode)
	}
	return nil
}

// Ledger reads the program's ledger by signal ("logs", "metrics", "traces").
func (p *Program) Ledger(ctx context.Context) (map[string]Balance, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Metrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	defer resp.Body.Close()
	return ParseLedger(resp.Body)
}
