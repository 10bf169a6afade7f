package spool

import (
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// A fault that lasts is told once per logEvery, each message by itself, and
// loggers made of one share what was told.
func TestThrottledLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		b, err := newBook(noop.NewMeterProvider(), zap.New(core), ledger.Metrics, "spool")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			b.log.Warn("disk is full")
			b.log.With(zap.Int("items", 1)).Warn("disk is full")
			b.log.Info("below the level")
		}
		b.log.Error("disk is broken")
		if n := logs.Len(); n != 2 {
			t.Errorf("%d lines, want one of each message", n)
		}
		time.Sleep(logEvery)
		b.log.Warn("disk is full")
		if n := logs.FilterMessage("disk is full").Len(); n != 2 {
			t.Errorf("%d lines after a while, want 2", n)
		}
	})
}
