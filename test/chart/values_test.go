package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// freeValues are maps in which users have keys of their own.
var freeValues = regexp.MustCompile(`^/(commonLabels|global|.*[lL]abels|.*[aA]nnotations|.*/nodeSelector|.*/affinity|.*/extraEnv|.*/extraPorts|` +
	`.*/(podS|s)ecurityContext|.*/updateStrategy(/.*)?|prometheusRule/alerts|.*/resources/(limits|requests))$`)

// mistype puts an unknown key into every map of the values and returns where.
func mistype(values map[string]any, path string) []string {
	var places []string
	for key, value := range values {
		if m, ok := value.(map[string]any); ok {
			places = append(places, mistype(m, path+"/"+key)...)
		}
	}
	if freeValues.MatchString(path) {
		return places
	}
	values["mistyped"] = "x"
	return append(places, path)
}

func TestUnknownValuesAreRefusedEverywhere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	places := mistype(values, "")
	if len(places) < 30 {
		t.Fatalf("mistyped %d maps: the test would test little", len(places))
	}
	text, err = yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	_, stderr, err := template(t, "--values", file, "--set", "quickstart.enabled=true")
	if err == nil {
		t.Fatal("rendered with unknown values")
	}
	for _, place := range places {
		refusals := regexp.MustCompile(`(?m)^ *- at '` + place + `': .*'mistyped'`)
		if !refusals.MatchString(stderr) {
			t.Errorf("unknown key below %q is not refused", place)
		}
	}
	if t.Failed() {
		t.Log(stderr)
	}
}

// A schema that names values that are not there misleads editors and users.
func TestSchemaAndValuesHaveTheSameKeys(t *testing.T) {
	var schema map[string]any
	text, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if text, err = os.ReadFile(filepath.Join(chartDir, "values.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	compareKeys(t, "", schema, schema, values)
}

func compareKeys(t *testing.T, path string, schema, node map[string]any, values map[string]any) {
	t.Helper()
	if ref, ok := node["$ref"].(string); ok {
		node = at(schema, "definitions", strings.TrimPrefix(ref, "#/definitions/")).(map[string]any)
	}
	properties, _ := node["properties"].(map[string]any)
	if len(properties) == 0 || node["additionalProperties"] != false {
		return
	}
	for key, property := range properties {
		value, there := values[key]
		if !there && len(values) > 0 {
			t.Errorf("%s/%s is in the schema and not in values.yaml", path, key)
		}
		if m, ok := value.(map[string]any); ok {
			compareKeys(t, path+"/"+key, schema, property.(map[string]any), m)
		}
	}
}

func TestWrongValuesSayWhatToSet(t *testing.T) {
	for set, want := range map[string]string{
		"stores.loki.endpoint=":                                         "--set stores.loki.endpoint=http",
		"stores.prometheus.endpoint=":                                   "--set signals.metrics=false",
		"stores.jaeger.endpoint=":                                       "--set quickstart.enabled=true",
		"stores.loki.endpoint=loki:3100":                                "Set it to a URL, such as http://",
		"stores.prometheus.endpoint=http://p:9090":                      "with its path, such as http://",
		"stores.jaeger.endpoint=http://jaeger:4317":                     "Set it to host:port",
		"agent.kubelet.endpoint=http://$(K8S_NODE_IP)":                  "https://$(K8S_NODE_IP):10250",
		"signals.logs=false,signals.metrics=false,signals.traces=false": "Set at least one of signals.logs",
		"agent.enabled=false,aggregator.enabled=false":                  "Set at least one to true",
		"aggregator.enabled=false":                                      "Set agent.aggregatorEndpoint",
		"aggregator.enabled=false,agent.aggregatorEndpoint=a:1":         "Set tls.mode=existingSecret",
		"tls.mode=existingSecret":                                       "tls.existingSecret.agent is empty",
		"tls.mode=existingSecret,tls.existingSecret.agent=a":            "tls.existingSecret.aggregator is empty",
		"tls.mode=off":                          "'generated', 'certManager', 'existingSecret', 'disabled'",
		"tls.generated.renewBeforeDays=1095":    "Set renewBeforeDays to less",
		"agent.resources.limits.memory=512MB":   "such as 512Mi",
		"aggregator.autoscaling.minReplicas=11": "Set maxReplicas to at least minReplicas",
		"aggregator.config.pipelines.logs=x":    "/aggregator/config",
		"quickstart.enabled=true,aggregator.enabled=false,agent.enabled=true,agent.aggregatorEndpoint=a:1,tls.mode=disabled": "nothing would reach the stores",
	} {
		_, stderr, err := template(t, "--values", valuesFile("default"), "--set", set)
		if err == nil {
			t.Errorf("--set %s: rendered; want it refused", set)
			continue
		}
		if !strings.Contains(stderr, want) {
			t.Errorf("--set %s: says %q; want %q in it", set, stderr, want)
		}
	}
}

func TestReadmeIsWhatHelmDocsMakes(t *testing.T) {
	readme, stderr, err := output(t, helmDocsProgram, nil, "--chart-search-root", chartDir, "--dry-run",
		"--sort-values-order", "file", "--log-level", "warning")
	if err != nil || stderr != "" { // it ends well after errors, too
		t.Fatalf("helm-docs: %v\n%s", err, stderr)
	}
	readme = strings.TrimRight(readme, "\n") + "\n"
	file := filepath.Join(chartDir, "README.md")
	if *update {
		if err := os.WriteFile(file, []byte(readme), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != readme {
		t.Error("README.md is not what README.md.gotmpl and values.yaml say; make it with -update")
	}
}

func TestEveryValueSaysWhatItIs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	checkDocumented(t, "", document.Content[0])
}

// checkDocumented wants a comment "# -- …" at each value or at a map that it is in.
func checkDocumented(t *testing.T, path string, values *yaml.Node) {
	t.Helper()
	for i := 0; i+1 < len(values.Content); i += 2 {
		key, value := values.Content[i], values.Content[i+1]
		switch {
		case strings.Contains(key.HeadComment, "# -- "):
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			checkDocumented(t, path+"."+key.Value, value)
		default:
			t.Errorf("values.yaml:%d: %s has no comment that begins with \"# -- \"", key.Line, path+"."+key.Value)
		}
	}
}
