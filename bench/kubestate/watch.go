package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/receivers/kubestate"
)

// watch runs the receiver until standard input ends, and writes a line when an
// interval was sent whole.
func watch(kubeconfig string, interval time.Duration) error {
	cfg := kubestate.NewFactory().CreateDefaultConfig()
	err := confmap.NewFromStringMap(map[string]any{
		"scope": "all", "kubeconfig": kubeconfig, "collection_interval": interval.String(),
	}).Unmarshal(cfg)
	if err != nil {
		return err
	}
	set := receiver.Settings{ID: component.MustNewID("kubestate"), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	if set.Logger, err = zap.NewProduction(); err != nil {
		return err
	}
	r, err := kubestate.NewFactory().CreateMetrics(context.Background(), set, cfg, &counter{})
	if err != nil {
		return err
	}
	if err := r.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return r.Shutdown(context.Background())
}

// counter counts the points of each interval; the last batch has the series "up".
type counter struct{ points, batches int }

// Capabilities tells that nothing is changed.
func (*counter) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeMetrics counts.
func (c *counter) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	c.points += md.DataPointCount()
	c.batches++
	metrics := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	for i := range metrics.Len() {
		if metrics.At(i).Name() == "up" {
			fmt.Printf("%d points in %d batches, %v\n", c.points, c.batches,
				time.Since(pcommon.Timestamp(metrics.At(i).Gauge().DataPoints().At(0).Timestamp()).AsTime()).Round(time.Millisecond))
			c.points, c.batches = 0, 0
		}
	}
	return nil
}
