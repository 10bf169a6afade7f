package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

type dataSource struct {
	Name, UID, Type, URL string
	JSONData             map[string]any `yaml:"jsonData"`
}

func dataSources(t *testing.T, manifests string) map[string]dataSource {
	t.Helper()
	text, _ := at(find(t, decode(t, manifests), "ConfigMap", "crowsnest-grafana"), "data", "datasources.yaml").(string)
	var file struct {
		DataSources []dataSource `yaml:"datasources"`
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatalf("decode data sources: %v", err)
	}
	sources := map[string]dataSource{}
	for _, s := range file.DataSources {
		sources[s.UID] = s
	}
	return sources
}

var linkTarget = regexp.MustCompile(`"datasourceUid":"([^"]+)"`)

// Grafana says nothing about a link into nowhere: it just does not work.
func TestDataSourcesLinkToEachOther(t *testing.T) {
	links := func(sources map[string]dataSource) (found []string) {
		for uid, source := range sources {
			text, err := json.Marshal(source.JSONData)
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range linkTarget.FindAllStringSubmatch(string(text), -1) {
				if _, there := sources[target[1]]; !there {
					t.Errorf("%s links to %s, which is not there", uid, target[1])
				}
				found = append(found, strings.ReplaceAll(uid+">"+target[1], "crowsnest-", ""))
			}
		}
		slices.Sort(found)
		return found
	}
	got := links(dataSources(t, render(t, "quickstart")))
	want := []string{"jaeger>loki", "jaeger>prometheus", "loki>jaeger", "prometheus>jaeger"}
	if !slices.Equal(got, want) {
		t.Errorf("links %q, want %q", got, want)
	}
	// A store of the user's own is no data source: its query address is not known.
	for _, store := range []string{"stores.loki.endpoint=http://loki", "stores.jaeger.endpoint=jaeger:4317",
		"stores.prometheus.endpoint=http://prometheus/api/v1/write"} {
		links(dataSources(t, mustTemplate(t, "--values", valuesFile("quickstart"), "--set", store)))
	}
}

func TestDashboardsCanBeAskedForTheirData(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(chartDir, "dashboards/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	prometheus := stores.TestPrometheus(t, stores.Options{})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var dashboard struct {
			UID, Title string
			Tags       []string
			Panels     []struct {
				Title, Description string
				Targets            []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &dashboard); err != nil {
			t.Fatalf("decode %s: %v", file, err)
		}
		if dashboard.UID == "" || !slices.Contains(dashboard.Tags, "crowsnest") {
			t.Errorf("%s: uid %q, tags %q", file, dashboard.UID, dashboard.Tags)
		}
		for _, panel := range dashboard.Panels {
			if panel.Description == "" {
				t.Errorf("%s: panel %q says not what it shows", file, panel.Title)
			}
			for _, target := range panel.Targets {
				expr := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h").Replace(target.Expr)
				if _, err := prometheus.Query(t.Context(), expr); err != nil {
					t.Errorf("%s: panel %q: %v", file, panel.Title, err)
				}
			}
		}
		if strings.Contains(string(text), `"uid": "crowsnest-prometheus"`) {
			t.Errorf("%s names a data source instead of the variable", file)
		}
	}
}
