// Package ledger counts what came into a program and what became of it.
//
// Every item (log record, metric data point or span) is counted once as
// received and once by its fate, so that at rest, per signal,
//
//	received = delivered + queued + dropped
//
// holds within one process. The counters are written at independent places
// (received where an item enters, the others where its fate is decided), so
// the equation is a check and not a definition: an item that a component
// swallows shows as a difference.
//
// An item is "received" once the pipeline answered for it: with success, or
// with a permanent refusal that some component counted as dropped. A refusal
// that asks the sender to send again is neither received nor dropped.
package ledger

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Scope is the instrumentation scope of the ledger's instruments; one scope
// for all components makes them write to the same metric families.
const Scope = "github.com/crowsnest-o11y/crowsnest/ledger"

// Signal is the kind of an item; its value is that of the label "signal".
type Signal string

// The three signals; an item is a log record, a data point, a span.
const (
	Logs    Signal = "logs"
	Metrics Signal = "metrics"
	Traces  Signal = "traces"
)

// Reasons for a drop that more than one component gives. A component with a
// reason of its own uses a snake_case constant of the same form.
const (
	// ReasonRejected: the next hop or the store refused the item for good.
	ReasonRejected = "rejected"
	// ReasonQueueFull: a queue reached its bound in bytes and gave up its oldest items.
	ReasonQueueFull = "queue_full"
	// ReasonCorrupt: bytes read back from disk failed their checksum.
	ReasonCorrupt = "corrupt"
	// ReasonMalformed: the input cannot be parsed.
	ReasonMalformed = "malformed"
)

// Account is the part of the ledger that one component writes for one signal.
// All methods are safe for concurrent use; counts are in items.
type Account struct {
	received  metric.Int64Counter
	delivered metric.Int64Counter
	dropped   metric.Int64Counter
	queued    metric.Int64UpDownCounter

	base    attribute.Set
	signal  attribute.KeyValue
	compKey attribute.KeyValue
}

// NewAccount makes the account of a component (its id as written in the
// configuration, such as "loki/second") for a signal.
func NewAccount(mp metric.MeterProvider, signal Signal, component string) (*Account, error) {
	meter := mp.Meter(Scope)
	a := &Account{
		signal:  attribute.String("signal", string(signal)),
		compKey: attribute.String("component", component),
	}
	a.base = attribute.NewSet(a.signal, a.compKey)
	var err error
	if a.received, err = meter.Int64Counter("crowsnest_received_items",
		metric.WithDescription("Log records, data points or spans that entered the program and were answered for."),
		metric.WithUnit("{item}")); err != nil {
		return nil, fmt.Errorf("make ledger counter received: %w", err)
	}
	if a.delivered, err = meter.Int64Counter("crowsnest_delivered_items",
		metric.WithDescription("Items that the next hop or the store acknowledged."),
		metric.WithUnit("{item}")); err != nil {
		return nil, fmt.Errorf("make ledger counter delivered: %w", err)
	}
	if a.dropped, err = meter.Int64Counter("crowsnest_dropped_items",
		metric.WithDescription("Items given up for good, by reason."),
		metric.WithUnit("{item}")); err != nil {
		return nil, fmt.Errorf("make ledger counter dropped: %w", err)
	}
	if a.queued, err = meter.Int64UpDownCounter("crowsnest_queued_items",
		metric.WithDescription("Items accepted and waiting for delivery."),
		metric.WithUnit("{item}")); err != nil {
		return nil, fmt.Errorf("make ledger gauge queued: %w", err)
	}
	// Series that appear only with the first event hide it from rate();
	// begin every one at zero.
	a.Received(0)
	a.Delivered(0)
	a.Queued(0)
	return a, nil
}

// Received counts n items that entered the program.
func (a *Account) Received(n int) {
	a.received.Add(context.Background(), int64(n), metric.WithAttributeSet(a.base))
}

// Delivered counts n items that the next hop acknowledged.
func (a *Account) Delivered(n int) {
	a.delivered.Add(context.Background(), int64(n), metric.WithAttributeSet(a.base))
}

// Queued adds n (negative: takes away) to the items waiting for delivery.
func (a *Account) Queued(n int) {
	a.queued.Add(context.Background(), int64(n), metric.WithAttributeSet(a.base))
}

// Dropped counts n items given up for good. The reason is a constant, never
// text from outside: it becomes a label value.
func (a *Account) Dropped(n int, reason string) {
	if n == 0 {
		return
	}
	a.dropped.Add(context.Background(), int64(n), metric.WithAttributes(a.signal, a.compKey, attribute.String("reason", reason)))
}
