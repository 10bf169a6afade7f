package kubepods

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

const scope = "github.com/crowsnest-o11y/crowsnest/pipeline/kubepods"

// telemetry shows the cache's figures whenever they are asked for.
type telemetry struct {
	registration metric.Registration
}

func newTelemetry(mp metric.MeterProvider, component string, cache *kubemeta.Cache) (*telemetry, error) {
	meter := mp.Meter(scope)
	pods, err1 := meter.Int64ObservableGauge("crowsnest_kubepods_pods",
		metric.WithDescription("Pods of this node that are known, deleted ones apart."), metric.WithUnit("{pod}"))
	tombstones, err2 := meter.Int64ObservableGauge("crowsnest_kubepods_tombstones",
		metric.WithDescription("Deleted pods that are still findable."), metric.WithUnit("{pod}"))
	size, err3 := meter.Int64ObservableGauge("crowsnest_kubepods_size_bytes",
		metric.WithDescription("Estimated size of all known pods."), metric.WithUnit("By"))
	refused, err4 := meter.Int64ObservableCounter("crowsnest_kubepods_refused_pods",
		metric.WithDescription("Pods that were not taken since the cache was at its bound in bytes."), metric.WithUnit("{pod}"))
	failed, err5 := meter.Int64ObservableCounter("crowsnest_kubepods_source_errors",
		metric.WithDescription("Attempts to read pods that failed, by reason."), metric.WithUnit("{error}"))
	age, err6 := meter.Float64ObservableGauge("crowsnest_kubepods_last_answer_age_seconds",
		metric.WithDescription("Time since the API server or the kubelet last answered; no value before it first did."), metric.WithUnit("s"))
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return nil, fmt.Errorf("make instruments: %w", err)
	}
	id := metric.WithAttributes(attribute.String("component", component))
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := cache.Stats()
		o.ObserveInt64(pods, int64(s.Pods), id)
		o.ObserveInt64(tombstones, int64(s.Tombstones), id)
		o.ObserveInt64(size, int64(s.Bytes), id)
		o.ObserveInt64(refused, int64(s.Refused), id)
		for _, reason := range kubeapi.Reasons() {
			o.ObserveInt64(failed, int64(s.Errors[reason]), id, metric.WithAttributes(attribute.String("reason", string(reason))))
		}
		if !s.HeardAt.IsZero() {
			o.ObserveFloat64(age, time.Since(s.HeardAt).Seconds(), id)
		}
		return nil
	}, pods, tombstones, size, refused, failed, age)
	if err != nil {
		return nil, fmt.Errorf("register instruments: %w", err)
	}
	return &telemetry{registration: registration}, nil
}

// stop is safe on nil and twice.
func (t *telemetry) stop() error {
	if t == nil {
		return nil
	}
	return t.registration.Unregister()
}
