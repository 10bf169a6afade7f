//go:build e2e

package kubestate

import (
	"context"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/crowsnest-o11y/crowsnest/receivers/kubestate"
)

// everythingOfOurs adds to a configuration what makes the receiver tell of
// everything.
func everythingOfOurs(t *testing.T, config map[string]any) map[string]any {
	t.Helper()
	every := map[string]any{"*": []any{"*"}}
	config["metric_labels_allowlist"], config["metric_annotations_allowlist"] = every, every
	if config["scope"] == "node" {
		return config
	}
	all := []any{"verticalpodautoscalers"}
	for _, resource := range resources {
		all = append(all, resource)
	}
	config["resources"] = all
	config["custom_resource_state"] = map[string]any{
		"kind": "CustomResourceStateMetrics",
		"spec": map[string]any{"resources": customResources(t, "testdata/customresources.yaml")},
	}
	return config
}

// collection is what receivers told, as a store would know it.
type collection struct {
	mu sync.Mutex
	p  page
}

// startReceiver runs receivers with these configurations until the test ends.
func startReceiver(t *testing.T, proxy *proxy, configs ...map[string]any) *collection {
	t.Helper()
	c := &collection{p: newPage()}
	next, err := consumer.NewMetrics(c.take)
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range configs {
		factory := kubestate.NewFactory()
		config["kubeconfig"], config["collection_interval"] = proxy.kubeconfig, "250ms"
		cfg := factory.CreateDefaultConfig()
		if err := confmap.NewFromStringMap(config).Unmarshal(cfg); err != nil {
			t.Fatal(err)
		}
		if err := confmap.Validate(cfg); err != nil {
			t.Fatal(err)
		}
		r, err := factory.CreateMetrics(t.Context(), receivertest.NewNopSettings(factory.Type()), cfg, next)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return c
}

// take keeps the last value of each series until it is marked as ended.
func (c *collection) take(_ context.Context, metrics pmetric.Metrics) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rm := range metrics.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				c.metric(m)
			}
		}
	}
	return nil
}

func (c *collection) metric(m pmetric.Metric) {
	typ, _ := m.Metadata().Get("prometheus.type")
	c.p.families[m.Name()] = family{typ.AsString(), m.Description()}
	points := m.Gauge().DataPoints
	if m.Type() == pmetric.MetricTypeSum {
		points = m.Sum().DataPoints
	}
	for _, point := range points().All() {
		series := key(m.Name(), texts(point.Attributes()))
		if point.Flags().NoRecordedValue() {
			delete(c.p.series, series)
			continue
		}
		c.p.series[series] = point.DoubleValue()
	}
}

func texts(attributes pcommon.Map) map[string]string {
	all := map[string]string{}
	for name, value := range attributes.All() {
		all[name] = value.AsString()
	}
	return all
}

// page is a copy of what is known now.
func (c *collection) page() page {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := newPage()
	for series, value := range c.p.series {
		p.series[series] = value
	}
	for name, f := range c.p.families {
		p.families[name] = f
	}
	return p
}
