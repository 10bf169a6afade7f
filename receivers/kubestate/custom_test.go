package kubestate

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"
)

// customState reads a configuration as the collector would.
func customState(t testing.TB, text string) (*CustomResourceState, error) {
	t.Helper()
	var raw map[string]any
	if err := yaml.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	cfg := defaultConfig()
	cfg.Scope = scopeCluster
	if err := confmap.NewFromStringMap(map[string]any{"custom_resource_state": raw}).Unmarshal(cfg); err != nil {
		return nil, err
	}
	return &cfg.CustomResourceState, confmap.Validate(cfg)
}

// What YAML takes for a number or a flag is text where text belongs.
const looseYAML = `
kind: CustomResourceStateMetrics
spec:
  resources:
  - groupVersionKind: {group: myteam.io, kind: Foo, version: v1}
    labelsFromPath: {name: [metadata, name], first: [spec, order, 0, id]}
    commonLabels: {year: 2026, on: true}
    errorLogV: 3
    metrics:
    - name: uptime
      help: Foo uptime
      each: {type: Gauge, gauge: {path: [status, uptime], nilIsZero: true}}
    - name: phase
      each: {type: StateSet, stateSet: {path: [status, phase], labelName: phase, list: [Up, 7]}}
`

// generated gives the series of an object of the kind.
func generated(t testing.TB, k *kind, object string) map[string]float64 {
	t.Helper()
	var w writer
	if _, err := k.generate(&w, []byte(object)); err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for u := state(w.packer.buf).unpack(k); u.next(); {
		labels := map[string]string{}
		u.labels.each(func(name, value string) { labels[name] = value })
		var b strings.Builder
		b.WriteString(k.families[u.family].name)
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			b.WriteString(" " + name + "=" + labels[name])
		}
		series[b.String()] = u.value
	}
	return series
}

func TestCustomResourceStateIsReadAsKubeStateMetricsReadsIt(t *testing.T) {
	state, err := customState(t, looseYAML)
	if err != nil {
		t.Fatal(err)
	}
	r := &state.Spec.Resources[0]
	k := customKind(r, "foos", r.GroupVersionKind)
	if k.path != "apis/myteam.io/v1/foos" || k.resource != "foos.myteam.io" {
		t.Errorf("kind is at %s and called %s", k.path, k.resource)
	}
	const common = " customresource_group=myteam.io customresource_kind=Foo customresource_version=v1 first=x name=a on=true"
	want := map[string]float64{
		"kube_customresource_uptime" + common + " year=2026":         0,
		"kube_customresource_phase" + common + " phase=Up year=2026": 0,
		"kube_customresource_phase" + common + " phase=7 year=2026":  1,
	}
	got := generated(t, k, `{"metadata":{"name":"a"},"spec":{"order":[{"id":"x"}]},"status":{"phase":"7"}}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCustomResourceStateIsRefusedWithKeyAndValue(t *testing.T) {
	const resource = "spec: {resources: [{groupVersionKind: {group: g.io, version: v1, kind: Foo}, metrics: [%]}]}"
	for name, c := range map[string]struct{ text, want string }{
		"key":        {`spec: {resources: [{group: x}]}`, "field group not found"},
		"kind":       {`{kind: Deployment}`, `kind: "Deployment"`},
		"group":      {`spec: {resources: [{groupVersionKind: {group: "*", version: v1, kind: Foo}}]}`, `groupVersionKind.group: "*"`},
		"version":    {`spec: {resources: [{groupVersionKind: {group: g.io, version: ../v1, kind: Foo}}]}`, `groupVersionKind.version: "../v1"`},
		"metrics":    {strings.Replace(resource, "%", "", 1), "metrics: is empty"},
		"type":       {strings.Replace(resource, "%", `{name: a, each: {type: Counter}}`, 1), `each.type: "Counter"`},
		"gauge":      {strings.Replace(resource, "%", `{name: a, each: {type: Gauge, info: {path: [a]}}}`, 1), "type is Gauge, but there is nothing of that name"},
		"name":       {strings.Replace(resource, "%", `{name: "a b", each: {type: Info, info: {}}}`, 1), `"kube_customresource_a b"`},
		"path":       {strings.Replace(resource, "%", `{name: a, each: {type: Info, info: {path: ["[a]"]}}}`, 1), `each.info: path: "[a]": want [key=value]`},
		"label":      {strings.Replace(resource, "%", `{name: a, commonLabels: {a.b: c}, each: {type: Info, info: {}}}`, 1), `commonLabels: "a.b"`},
		"state name": {strings.Replace(resource, "%", `{name: a, each: {type: StateSet, stateSet: {list: [a]}}}`, 1), "labelName: is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := customState(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, and should tell of %s", err, c.want)
			}
		})
	}
}

// FuzzCustomResource: whatever a custom resource has, its series are made, or
// its metrics have none.
func FuzzCustomResource(f *testing.F) {
	state, err := customState(f, `
spec:
  resources:
  - groupVersionKind: {group: g.io, kind: Foo, version: v1}
    labelsFromPath: {"*": [metadata, labels], "a_*": [metadata, annotations], b: [spec, l, -1], c: [spec, l, "[x=1]", y]}
    metrics:
    - {name: a, each: {type: gauge, gauge: {path: [status], valueFrom: [x], labelFromKey: k, labelsFromPath: {z: [z]}}}}
    - {name: b, each: {type: gauge, gauge: {path: [spec], nilIsZero: true, labelFromKey: k}}}
    - {name: c, each: {type: info, info: {path: [spec], labelFromKey: k, labelsFromPath: {z: []}}}}
    - {name: d, each: {type: stateset, stateSet: {path: [status], valueFrom: [s], labelName: s, list: [a, b]}}}
`)
	if err != nil {
		f.Fatal(err)
	}
	r := &state.Spec.Resources[0]
	k := customKind(r, "foos", r.GroupVersionKind)
	f.Add([]byte(`{"metadata":{"labels":{"a.b":"c"}},"spec":{"l":[{"x":1,"y":[2]}]},"status":{"x":"12%","s":"a"}}`))
	f.Add([]byte(`{"spec":["1e400","-0",null,{}],"status":[{"s":"b"},{"s":1},{"x":"5Gi"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, object []byte) {
		var w writer
		w.complain = func(*customFamily, error) {}
		if _, err := k.generate(&w, object); err != nil {
			return
		}
		for u := packed(&w).unpack(k); u.next(); {
			u.labels.each(func(string, string) {})
		}
	})
}

func packed(w *writer) state { return state(w.packer.buf) }
