package provisioning

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DataSourcesYAML is a file for Grafana's folder provisioning/datasources.
// Grafana fills environment variables in, so $ is doubled.
func DataSourcesYAML(addresses map[Store]string) ([]byte, error) {
	text, err := encode(map[string]any{"apiVersion": 1, "datasources": Sources(addresses)})
	if err != nil {
		return nil, fmt.Errorf("encode data sources: %w", err)
	}
	return bytes.ReplaceAll(text, []byte("$"), []byte("$$")), nil
}

// DashboardsYAML is a file for Grafana's folder provisioning/dashboards: it
// shows the JSON in a folder of the disk as a folder of Grafana.
func DashboardsYAML(path string) ([]byte, error) {
	text, err := encode(map[string]any{"apiVersion": 1, "providers": []any{map[string]any{
		"name": "crowsnest", "folder": "Crowsnest", "folderUid": "crowsnest", "type": "file",
		"options": map[string]any{"path": path}}}})
	if err != nil {
		return nil, fmt.Errorf("encode dashboard provider: %w", err)
	}
	return text, nil
}

func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

// ChartJSON has every store's settings for the chart's template, which puts in
// addresses and leaves out links into nowhere. $ is doubled as in YAML.
func ChartJSON() ([]byte, error) {
	all := map[Store]Settings{}
	for _, store := range Stores() {
		all[store] = Of(store)
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return nil, fmt.Errorf("encode settings of data sources: %w", err)
	}
	return []byte(strings.ReplaceAll(b.String(), "$", "$$")), nil
}
