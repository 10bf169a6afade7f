package node

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/node_exporter/collector"
)

// probe runs one of node_exporter's collectors in a goroutine of its own: one
// that hangs or panics spoils no other's series. (A panic in a goroutine that a
// collector starts itself cannot be caught; of the default ones only
// filesystem starts any, around statfs.)
type probe struct {
	name      string
	logger    *slog.Logger
	collector collector.Collector // nil until it could be made

	began   time.Time
	busy    bool
	metrics chan prometheus.Metric // from the collector; nil is the end
	result  chan result            // of one, so that nobody need wait for it
	room    []prometheus.Metric    // of the last result, used again
}

// result is what one run of a collector gave.
type result struct {
	metrics []prometheus.Metric // valid until the next run
	took    time.Duration
	err     error
}

func newProbe(name string, logger *slog.Logger) *probe {
	return &probe{name: name, logger: logger, metrics: make(chan prometheus.Metric, 16), result: make(chan result, 1)}
}

// run runs the collector once and leaves the result.
func (p *probe) run() {
	var err error
	go func() {
		err = p.update()
		p.metrics <- nil
	}()
	got := p.room[:0]
	for m := range p.metrics {
		if m == nil {
			break
		}
		got = append(got, m)
	}
	p.room = got
	p.result <- result{got, time.Since(p.began), err}
}

// update has the collector write its metrics, and the end.
func (p *probe) update() (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("collector %s panicked: %v\n%s", p.name, cause, debug.Stack())
		}
	}()
	if p.collector == nil {
		// Perhaps what it needs was not there yet.
		if p.collector, err = makeCollector(p.name, p.logger); err != nil {
			return err
		}
	}
	return p.collector.Update(p.metrics)
}

// idle says whether the last run, if it outlasted its collection, ended. What it
// gave is too old to be told.
func (p *probe) idle() bool {
	if p.busy {
		select {
		case <-p.result:
			p.busy = false
		default:
		}
	}
	return !p.busy
}
