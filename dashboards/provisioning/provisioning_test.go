package provisioning

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the files again")

var everywhere = map[Store]string{
	Prometheus: "http://prometheus:9090", Loki: "http://loki:3100", Jaeger: "http://jaeger:16686",
}

func TestFilesAreCurrent(t *testing.T) {
	files := map[string]func() ([]byte, error){
		"datasources.yaml": func() ([]byte, error) { return DataSourcesYAML(everywhere) },
		"dashboards.yaml":  func() ([]byte, error) { return DashboardsYAML("/var/lib/crowsnest/dashboards") },
		"../../deploy/helm/crowsnest/files/dashboards/provisioning/datasources.json": ChartJSON,
	}
	for path, render := range files {
		want, err := render()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != string(want) {
			t.Errorf("%s is not what the code says; run go test ./dashboards/provisioning -update (%v)", path, err)
		}
	}
}

// targets are the uids that a data source's settings lead to.
func targets(t *testing.T, value any) []string {
	t.Helper()
	var found []string
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if key == "datasourceUid" {
				found = append(found, inner.(string))
			}
			found = append(found, targets(t, inner)...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, targets(t, inner)...)
		}
	}
	slices.Sort(found)
	return found
}

// Grafana says nothing about a link into nowhere: it just does not work.
func TestLinksLeadToStoresThatAreThere(t *testing.T) {
	for present := range 1 << len(Stores()) {
		addresses := map[Store]string{}
		for i, store := range Stores() {
			if present&(1<<i) != 0 {
				addresses[store] = everywhere[store]
			}
		}
		text, err := DataSourcesYAML(addresses)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			DataSources []struct {
				UID, URL string
				JSONData map[string]any `yaml:"jsonData"`
			} `yaml:"datasources"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		var uids []string
		for _, source := range file.DataSources {
			uids = append(uids, source.UID)
		}
		links := 0
		for _, source := range file.DataSources {
			for _, target := range targets(t, source.JSONData) {
				links++
				if !slices.Contains(uids, target) || target == source.UID {
					t.Errorf("with %v: %s leads to %s", addresses, source.UID, target)
				}
			}
		}
		if len(uids) != len(addresses) || len(addresses) == len(Stores()) && links != 4 {
			t.Errorf("with %v: data sources %q, %d links", addresses, uids, links)
		}
	}
}

// A single $ would be an environment variable for Grafana, and gone.
func TestDollarsAreDoubled(t *testing.T) {
	text, err := DataSourcesYAML(everywhere)
	if err != nil {
		t.Fatal(err)
	}
	chart, err := ChartJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(text), string(chart)} {
		if rest := strings.ReplaceAll(text, "$$", ""); strings.Contains(rest, "$") || rest == text {
			t.Errorf("$ not doubled in\n%s", text)
		}
	}
	var settings map[Store]Settings
	if err := json.Unmarshal(chart, &settings); err != nil || len(settings) != len(Stores()) {
		t.Errorf("chart's settings: %v", err)
	}
}

func TestMetricQueriesParse(t *testing.T) {
	queries := Of(Jaeger).Links[Prometheus]["tracesToMetrics"].(map[string]any)["queries"].([]any)
	for _, query := range queries {
		text := query.(map[string]any)["query"].(string)
		text = strings.NewReplacer("$__tags", `namespace="shop", pod="web"`, "${__span.name}", "GET /").Replace(text)
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(text); err != nil {
			t.Errorf("%v in %s", err, text)
		}
	}
}

func TestTraceIDsAreFound(t *testing.T) {
	const id = "00ab34567890abcdef1234567890abcd"
	if got, ok := LineTrace(map[string]string{"parent_trace_id": "other", "trace_id": id, "trace_id_format": "hex"}); !ok || got != id {
		t.Errorf("line leads to %q, %v", got, ok)
	}
	if _, ok := LineTrace(map[string]string{"pod": "web"}); ok {
		t.Error("line without a trace leads to one")
	}
	if got, ok := ExemplarTrace(map[string]string{"trace_id": id}); !ok || got != id {
		t.Errorf("exemplar leads to %q, %v", got, ok)
	}
	if _, ok := SpanLines(map[string]string{"http.route": "/"}, id); ok {
		t.Error("a span of no pod leads to lines")
	}
}
