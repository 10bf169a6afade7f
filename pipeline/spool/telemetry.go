package spool

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const scope = "github.com/crowsnest-o11y/crowsnest/pipeline/spool"

// book is where a spool's counts and log lines go: the ledger, and what the
// spool says about itself.
type book struct {
	complaints *complaint.Log
	account    *ledger.Account

	meter        metric.Meter
	attrs        metric.MeasurementOption
	base         []attribute.KeyValue
	refusedItems metric.Int64Counter
	corruptBytes metric.Int64Counter
	faults       metric.Int64Counter
}

func newBook(mp metric.MeterProvider, log *zap.Logger, signal ledger.Signal, component string) (*book, error) {
	b := &book{
		complaints: complaint.New(log, time.Minute),
		meter:      mp.Meter(scope),
		base:       []attribute.KeyValue{attribute.String("component", component), attribute.String("signal", string(signal))},
	}
	b.attrs = metric.WithAttributes(b.base...)
	var err error
	if b.account, err = ledger.NewAccount(mp, signal, component); err != nil {
		return nil, err
	}
	if b.refusedItems, err = b.meter.Int64Counter("crowsnest_spool_refused_items",
		metric.WithDescription("Items that could not be stored, by reason: they were sent on unspooled or went back to their sender."),
		metric.WithUnit("{item}")); err != nil {
		return nil, fmt.Errorf("make counter of refused items: %w", err)
	}
	if b.corruptBytes, err = b.meter.Int64Counter("crowsnest_spool_corrupt_bytes",
		metric.WithDescription("Bytes on disk that could not be read back and whose items are not known."),
		metric.WithUnit("By")); err != nil {
		return nil, fmt.Errorf("make counter of corrupt bytes: %w", err)
	}
	if b.faults, err = b.meter.Int64Counter("crowsnest_spool_faults",
		metric.WithDescription("Operations on spool files that failed without losing data, by operation."),
		metric.WithUnit("{fault}")); err != nil {
		return nil, fmt.Errorf("make counter of faults: %w", err)
	}
	b.corruptBytes.Add(context.Background(), 0, b.attrs)
	return b, nil
}

// observe exports the state of a queue until the returned registration ends.
func (b *book) observe(state func() stat) (metric.Registration, error) {
	size, err1 := b.meter.Int64ObservableGauge("crowsnest_spool_bytes",
		metric.WithDescription("Bytes that the spool takes on disk or in memory."), metric.WithUnit("By"))
	segments, err2 := b.meter.Int64ObservableGauge("crowsnest_spool_segments",
		metric.WithDescription("Segments that the spool consists of."), metric.WithUnit("{segment}"))
	age, err3 := b.meter.Float64ObservableGauge("crowsnest_spool_oldest_entry_age_seconds",
		metric.WithDescription("Time since the oldest entry in the spool was stored, 0 if it is empty."), metric.WithUnit("s"))
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return nil, fmt.Errorf("make spool gauges: %w", err)
		}
	}
	return b.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := state()
		o.ObserveInt64(size, s.bytes, b.attrs)
		o.ObserveInt64(segments, int64(s.segments), b.attrs)
		seconds := 0.0
		if !s.oldest.IsZero() {
			seconds = time.Since(s.oldest).Seconds()
		}
		o.ObserveFloat64(age, seconds, b.attrs)
		return nil
	}, size, segments, age)
}

// queued adds to the items in the queue.
func (b *book) queued(items int) { b.account.Queued(items) }

// recovered counts items found on disk: received in this process, by the spool.
func (b *book) recovered(items int) {
	b.account.Received(items)
	b.account.Queued(items)
}

// dropped counts items that leave the queue without delivery.
func (b *book) dropped(items int, reason string) {
	b.account.Queued(-items)
	b.account.Dropped(items, reason)
}

// corrupt counts what could not be read back: items where known, else bytes.
func (b *book) corrupt(items int, bytes int64) {
	b.dropped(items, ledger.ReasonCorrupt)
	if items == 0 {
		b.corruptBytes.Add(context.Background(), bytes, b.attrs)
	}
}

// refused counts items handed back to the sender.
func (b *book) refused(items int, reason string) {
	b.refusedItems.Add(context.Background(), int64(items), metric.WithAttributes(append(b.base[:2:2], attribute.String("reason", reason))...))
}

// fault counts and logs an operation that failed; cost says what follows.
func (b *book) fault(operation, cost string, err error) {
	b.faults.Add(context.Background(), 1, metric.WithAttributes(append(b.base[:2:2], attribute.String("operation", operation))...))
	b.complaints.Error(operation, cost, zap.String("operation", operation), zap.Error(err))
}
