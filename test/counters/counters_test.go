package counters

import (
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

func TestSum(t *testing.T) {
	telemetry := componenttest.NewTelemetry()
	defer func() { _ = telemetry.Shutdown(t.Context()) }()
	counter, err := telemetry.NewTelemetrySettings().MeterProvider.Meter("test").Int64Counter("drops")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1, metric.WithAttributes(attribute.String("reason", "full"), attribute.String("signal", "logs")))
	counter.Add(t.Context(), 2, metric.WithAttributes(attribute.String("reason", "full"), attribute.String("signal", "metrics")))
	counter.Add(t.Context(), 4, metric.WithAttributes(attribute.String("reason", "refused")))
	for _, c := range []struct {
		want       int64
		counter    string
		attributes []string
	}{
		{7, "drops", nil},
		{3, "drops", []string{"reason", "full"}},
		{2, "drops", []string{"reason", "full", "signal", "metrics"}},
		{0, "drops", []string{"reason", "refused", "signal", "metrics"}},
		{0, "never", nil},
	} {
		if got := Sum(t, telemetry, c.counter, c.attributes...); got != c.want {
			t.Errorf("%s%q: %d, want %d", c.counter, c.attributes, got, c.want)
		}
	}
}
