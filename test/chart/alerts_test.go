package chart

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	"go.yaml.in/yaml/v3"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// history is a series of one instance with a value for each minute up to now.
type history struct {
	name   string
	labels string // "signal=logs,component=loki"
	minute func(i int) float64
}

const minutes = 90

func constant(v float64) func(int) float64 { return func(int) float64 { return v } }

// sudden is 0 until some minutes ago and v from then on.
func sudden(v float64, ago int) func(int) float64 {
	return func(i int) float64 {
		if i < minutes-ago {
			return 0
		}
		return v
	}
}

// Each alert is asked of a real Prometheus that has the history it is for, and
// the one next to it that is in order.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	prometheus := stores.TestPrometheus(t, stores.Options{})
	ledger := func(instance string, received, delivered func(int) float64) []history {
		logs := "job=agent,signal=logs,instance=" + instance
		return []history{
			{"crowsnest_received_items_total", logs + ",component=containerlogs", received},
			{"crowsnest_delivered_items_total", logs + ",component=otlp_grpc/aggregator", delivered},
			{"crowsnest_queued_items", logs + ",component=spool", constant(5)},
			{"crowsnest_dropped_items_total", logs + ",component=containerlogs,reason=malformed", constant(2)},
		}
	}
	now := time.Now().Truncate(time.Second)
	send(t, prometheus.URL, now, slices.Concat(
		ledger("in-order", constant(100), constant(93)),
		ledger("swallows", constant(100), constant(90)),
		ledger("on-their-way", func(i int) float64 { return 100 + float64(i%2) }, constant(93)),
		[]history{
			{"crowsnest_received_items_total", "job=agent,signal=traces,instance=delivers-nothing", constant(1)},
			{"crowsnest_dropped_items_total", "job=drops,signal=traces,component=jaeger,reason=rejected", sudden(7, 10)},
			{"crowsnest_dropped_items_total", "job=dropped-once,signal=traces,component=jaeger,reason=rejected", sudden(7, 40)},
			{"crowsnest_spool_oldest_entry_age_seconds", "job=agent,instance=old,component=spool/metrics", constant(301)},
			{"crowsnest_spool_oldest_entry_age_seconds", "job=agent,instance=young,component=spool/metrics", constant(299)},
			{"crowsnest_containerlogs_lost_files_total", "job=agent,instance=loses", sudden(1, 5)},
			{"crowsnest_containerlogs_lost_files_total", "job=agent,instance=keeps", constant(1)},
		}))
	want := map[string][]string{
		"CrowsnestItemsDropped":     {"drops/"},
		"CrowsnestItemsUnaccounted": {"agent/delivers-nothing", "agent/swallows"},
		"CrowsnestQueueOld":         {"agent/old"},
		"CrowsnestLogsLost":         {"agent/loses"},
	}
	alerts := readAlerts(t)
	for name := range want {
		if _, there := alerts[name]; !there {
			t.Errorf("no alert %s", name)
		}
	}
	for name, expr := range alerts {
		samples, err := prometheus.QueryAt(t.Context(), expr, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var fires []string
		for _, s := range samples {
			fires = append(fires, s.Labels["job"]+"/"+s.Labels["instance"])
		}
		slices.Sort(fires)
		if !slices.Equal(fires, want[name]) {
			t.Errorf("%s fires for %q, want %q", name, fires, want[name])
		}
	}
}

type alert struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

func readRules(t *testing.T) []alert {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartDir, "rules/ledger.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct{ Rules []alert }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var rules []alert
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

func readAlerts(t *testing.T) map[string]string {
	alerts := map[string]string{}
	for _, rule := range readRules(t) {
		alerts[rule.Alert] = rule.Expr
	}
	return alerts
}

func TestAlertsSayWhatToDo(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(chartDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range readRules(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
			t.Errorf("%s: severity is %q", rule.Alert, rule.Labels["severity"])
		}
		for _, key := range []string{"summary", "description", "runbook_url"} {
			if rule.Annotations[key] == "" {
				t.Errorf("%s has no %s", rule.Alert, key)
			}
		}
		if !strings.HasSuffix(rule.Annotations["runbook_url"], "README.md#"+strings.ToLower(rule.Alert)) ||
			!strings.Contains(string(readme), "### "+rule.Alert+"\n") {
			t.Errorf("%s: the runbook %s is not in the README", rule.Alert, rule.Annotations["runbook_url"])
		}
	}
}

// send writes the histories by remote write 1.0.
func send(t *testing.T, url string, now time.Time, histories []history) {
	t.Helper()
	var request prompb.WriteRequest
	for _, h := range histories {
		labels := map[string]string{"__name__": h.name}
		for _, pair := range strings.Split(h.labels, ",") {
			key, value, _ := strings.Cut(pair, "=")
			labels[key] = value
		}
		var series prompb.TimeSeries
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			series.Labels = append(series.Labels, prompb.Label{Name: name, Value: labels[name]})
		}
		for i := range minutes {
			at := now.Add(-time.Duration(minutes-1-i) * time.Minute)
			series.Samples = append(series.Samples, prompb.Sample{Timestamp: at.UnixMilli(), Value: h.minute(i)})
		}
		request.Timeseries = append(request.Timeseries, series)
	}
	message, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(url+"/api/v1/write", "application/x-protobuf", bytes.NewReader(snappy.Encode(nil, message)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		var text bytes.Buffer
		text.ReadFrom(answer.Body)
		t.Fatal(fmt.Errorf("remote write: %s: %s", answer.Status, &text))
	}
}
