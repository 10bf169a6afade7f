package chart

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
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
