package containerlogs

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/crowsnest-o11y/crowsnest/receivers/containerlogs"

// telemetry is the receiver's view of itself. Names get their unit and
// "_total" from the Prometheus exporter.
type telemetry struct {
	lines, bytes, joined     metric.Int64Counter
	truncated, cutBytes      metric.Int64Counter
	invalidUTF8              metric.Int64Counter
	lostFiles, lostBytes     metric.Int64Counter
	refused, retries         metric.Int64Counter
	offsetWrites             reasons
	malformed, readErrors    reasons
	rotations, podWaits      reasons
	lag                      atomic.Int64
	callback                 metric.Registration
	openFiles, lagBytesGauge metric.Int64ObservableGauge
}

// reasons is a counter with one label, whose values are constants.
type reasons struct {
	counter metric.Int64Counter
	label   string
}

func (r reasons) add(reason string) { r.addN(reason, 1) }

func (r reasons) addN(reason string, n int64) {
	r.counter.Add(context.Background(), n, metric.WithAttributeSet(attribute.NewSet(attribute.String(r.label, reason))))
}

func newTelemetry(mp metric.MeterProvider) (*telemetry, error) {
	t := &telemetry{}
	meter := mp.Meter(scope)
	var errs []error
	counter := func(name, unit, description string) metric.Int64Counter {
		c, err := meter.Int64Counter("crowsnest_containerlogs_"+name, metric.WithUnit(unit), metric.WithDescription(description))
		if err != nil {
			errs = append(errs, fmt.Errorf("make counter %s: %w", name, err))
		}
		return c
	}
	gauge := func(name, unit, description string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge("crowsnest_containerlogs_"+name, metric.WithUnit(unit), metric.WithDescription(description))
		if err != nil {
			errs = append(errs, fmt.Errorf("make gauge %s: %w", name, err))
		}
		return g
	}
	t.lines = counter("lines", "{line}", "Physical lines read from log files.")
	t.bytes = counter("read", "By", "Bytes read from log files, uncompressed.")
	t.joined = counter("joined_pieces", "{line}", "Partial lines that were joined to whole ones.")
	t.truncated = counter("truncated_lines", "{line}", "Lines cut at max_line_bytes.")
	t.cutBytes = counter("truncated", "By", "Bytes cut off lines over max_line_bytes.")
	t.invalidUTF8 = counter("invalid_utf8_lines", "{line}", "Lines in which bytes that are not UTF-8 were replaced.")
	t.lostFiles = counter("lost_files", "{file}", "Files deleted or damaged before their end was delivered.")
	t.lostBytes = counter("lost", "By", "Bytes of lost files that were not delivered, where their number is known.")
	t.refused = counter("refused_records", "{record}", "Log records that the pipeline refused for good.")
	t.retries = counter("retries", "{batch}", "Deliveries of a batch that failed and were tried again.")
	t.offsetWrites = reasons{counter("offset_writes", "{write}", "Writes of the offsets file, by result."), "result"}
	t.malformed = reasons{counter("malformed_lines", "{line}", "Lines that are not in a container log format; delivered as they are."), "reason"}
	t.readErrors = reasons{counter("read_errors", "{error}", "Files and directories that could not be read, and are tried again."), "reason"}
	t.rotations = reasons{counter("rotations", "{file}", "Files followed past rotation, truncated, or written to after rotation."), "kind"}
	t.podWaits = reasons{counter("pod_waits", "{file}", "New logs whose pod was known to the pods extension in time, or not."), "result"}
	t.openFiles = gauge("open_files", "{file}", "Log files held open.")
	t.lagBytesGauge = gauge("lag", "By", "Bytes in log files that were not acknowledged yet, at the last scan.")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t.begin()
	return t, nil
}

// begin makes the series that alerts look for exist from the start.
func (t *telemetry) begin() {
	for _, c := range []metric.Int64Counter{t.lines, t.bytes, t.truncated, t.lostFiles, t.lostBytes, t.retries, t.refused} {
		c.Add(context.Background(), 0)
	}
	t.offsetWrites.addN("ok", 0)
	t.offsetWrites.addN("error", 0)
}

// observe registers the gauges; stop ends them.
func (t *telemetry) observe(mp metric.MeterProvider, open *atomic.Int64) error {
	var err error
	t.callback, err = mp.Meter(scope).RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(t.openFiles, open.Load())
		o.ObserveInt64(t.lagBytesGauge, t.lag.Load())
		return nil
	}, t.openFiles, t.lagBytesGauge)
	return err
}

func (t *telemetry) stop() error {
	if t.callback == nil {
		return nil
	}
	return t.callback.Unregister()
}

// count adds a tally and clears it.
func (t *telemetry) count(c *lineTally) {
	ctx := context.Background()
	add(ctx, t.lines, c.lines)
	add(ctx, t.bytes, c.bytes)
	add(ctx, t.joined, c.joined)
	add(ctx, t.truncated, c.truncated)
	add(ctx, t.cutBytes, c.cutBytes)
	add(ctx, t.invalidUTF8, c.invalidUTF8)
	for reason, n := range c.malformed {
		t.malformed.addN(string(reason), n)
	}
	if c.unterminated > 0 {
		t.malformed.addN(string(faultUnterminated), c.unterminated)
	}
	*c = lineTally{}
}

func add(ctx context.Context, c metric.Int64Counter, n int64) {
	if n != 0 {
		c.Add(ctx, n)
	}
}
