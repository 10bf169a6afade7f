// Package counters reads what a component counts about itself, for its tests.
package counters

import (
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Sum adds the points of a counter that have all the attributes, given as key,
// value, key, value. A counter that was never written is 0.
func Sum(t testing.TB, telemetry *componenttest.Telemetry, counter string, attributes ...string) int64 {
	t.Helper()
	m, err := telemetry.GetMetric(counter)
	if err != nil {
		return 0
	}
	data, ok := m.Data.(metricdata.Sum[int64])
	if !ok {
		t.Fatalf("%s is a %T, not a counter", counter, m.Data)
	}
	var sum int64
points:
	for _, p := range data.DataPoints {
		for i := 0; i < len(attributes); i += 2 {
			if v, _ := p.Attributes.Value(attribute.Key(attributes[i])); v.AsString() != attributes[i+1] {
				continue points
			}
		}
		sum += p.Value
	}
	return sum
}
