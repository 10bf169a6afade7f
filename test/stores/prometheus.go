package stores

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Prometheus with remote write receiver (v1 and v2), OTLP receiver, exemplars
// and native histograms; samples out of order are refused, as by default.
type Prometheus struct {
	*store
	URL string // http://127.0.0.1:PORT

	outOfOrder time.Duration
}

// StartPrometheus starts one; end it with Stop.
func StartPrometheus(ctx context.Context, o Options) (*Prometheus, error) {
	s, _, err := startStore(ctx, prometheusProgram, o, 1, "/-/ready", func(dir string, ports []int) ([]string, error) {
		config := filepath.Join(dir, "prometheus.yml")
		return []string{
			"--config.file=" + config,
			"--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + loopback(ports[0]),
			"--web.enable-remote-write-receiver",
			"--web.enable-otlp-receiver",
			"--web.enable-lifecycle",
			"--enable-feature=exemplar-storage,native-histograms",
		}, os.WriteFile(config, []byte(prometheusConfig(o.ScrapeTargets, o.OutOfOrderWindow)), 0o644)
	})
	if err != nil {
		return nil, err
	}
	return &Prometheus{store: s, URL: s.base, outOfOrder: o.OutOfOrderWindow}, nil
}

// TestPrometheus starts one for the time of a test.
func TestPrometheus(t testing.TB, o Options) *Prometheus {
	t.Helper()
	p, err := StartPrometheus(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stopAfter(t, p.store)
	return p
}

// SetScrapeTargets replaces Options.ScrapeTargets of a running Prometheus.
func (p *Prometheus) SetScrapeTargets(ctx context.Context, targets ...string) error {
	path := filepath.Join(p.dir, "prometheus.yml")
	if err := os.WriteFile(path, []byte(prometheusConfig(targets, p.outOfOrder)), 0o644); err != nil {
		return fmt.Errorf("write scrape targets: %w", err)
	}
	return p.post(ctx, "/-/reload")
}

func prometheusConfig(targets []string, outOfOrder time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global:
  scrape_interval: 1s
  scrape_timeout: 1s
storage:
  tsdb:
    out_of_order_time_window: %ds
  exemplars:
    max_exemplars: 100000
`, int(outOfOrder.Seconds()))
	if len(targets) == 0 {
		return b.String()
	}
	b.WriteString(`scrape_configs:
  - job_name: crowsnest
    honor_labels: true
    scrape_native_histograms: true
    static_configs:
      - targets:
`)
	for _, t := range targets {
		fmt.Fprintf(&b, "          - %q\n", t)
	}
	return b.String()
}

// Sample is one element of an instant vector, or a scalar without labels.
type Sample struct {
	Labels    map[string]string // with __name__
	Time      time.Time
	Value     float64         // 0 for a native histogram
	Histogram json.RawMessage // of a native histogram, as the API gives it
}

// Query evaluates a PromQL expression now.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]Sample, error) {
	return p.query(ctx, url.Values{"query": {expr}})
}

// QueryAt evaluates a PromQL expression at a time.
func (p *Prometheus) QueryAt(ctx context.Context, expr string, at time.Time) ([]Sample, error) {
	return p.query(ctx, url.Values{"query": {expr}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1e3, 'f', 3, 64)}})
}

func (p *Prometheus) query(ctx context.Context, q url.Values) ([]Sample, error) {
	var answer struct {
		Data struct {
			ResultType string          `json:"resultType"`
			Result     json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := p.Get(ctx, "/api/v1/query", q, &answer); err != nil {
		return nil, err
	}
	switch answer.Data.ResultType {
	case "vector":
		return decodeVector(answer.Data.Result)
	case "scalar":
		var v promValue
		if err := json.Unmarshal(answer.Data.Result, &v); err != nil {
			return nil, fmt.Errorf("decode scalar: %w", err)
		}
		return []Sample{{Time: v.time, Value: v.value}}, nil
	}
	return nil, fmt.Errorf("query %q gives a %s; want an instant vector", q.Get("query"), answer.Data.ResultType)
}

func decodeVector(result []byte) ([]Sample, error) {
	var elements []struct {
		Metric    map[string]string `json:"metric"`
		Value     *promValue        `json:"value"`
		Histogram []json.RawMessage `json:"histogram"`
	}
	if err := json.Unmarshal(result, &elements); err != nil {
		return nil, fmt.Errorf("decode vector: %w", err)
	}
	samples := make([]Sample, len(elements))
	for i, e := range elements {
		samples[i].Labels = e.Metric
		if e.Value != nil {
			samples[i].Time, samples[i].Value = e.Value.time, e.Value.value
		}
		if len(e.Histogram) == 2 {
			var seconds float64
			if err := json.Unmarshal(e.Histogram[0], &seconds); err != nil {
				return nil, fmt.Errorf("decode time of histogram: %w", err)
			}
			samples[i].Time = time.UnixMilli(int64(seconds * 1e3))
			samples[i].Histogram = e.Histogram[1]
		}
	}
	return samples, nil
}

// promValue is [seconds, "value"].
type promValue struct {
	time  time.Time
	value float64
}

func (v *promValue) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	var seconds float64
	var text string
	if err := json.Unmarshal(pair[0], &seconds); err != nil {
		return err
	}
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return err
	}
	var err error
	v.time = time.UnixMilli(int64(seconds * 1e3))
	v.value, err = strconv.ParseFloat(text, 64)
	return err
}
