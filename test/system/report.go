package system

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
)

// Report is whether everything arrived.
type Report struct {
	Lines  nodesim.LineReport
	Series SeriesReport
	Traces TraceReport
}

// Complete tells whether every line, every container's series and every trace arrived.
func (r Report) Complete() bool {
	return r.Lines.Complete() && r.Series.Complete() && r.Traces.Complete()
}

// maxListed bounds what a report lists of each kind.
const maxListed = 10

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lines:  %d written, %d found in Loki; %d missing, %d deleted by the kubelet before they were read, %d repeated, %d damaged\n",
		r.Lines.Written, r.Lines.Found, r.Lines.Missing, r.Lines.Deleted, r.Lines.Repeated, r.Lines.Damaged)
	list(&b, r.Lines.Details)
	fmt.Fprintf(&b, "series: %d containers run, %d have container_cpu_usage_seconds_total in Prometheus\n", r.Series.Expected, r.Series.Found)
	list(&b, r.Series.Missing)
	fmt.Fprintf(&b, "traces: %d sent, %d acknowledged, %d found in Jaeger with their pods' identity and in Loki on their lines\n",
		r.Traces.Made, r.Traces.Acked, r.Traces.Found)
	list(&b, r.Traces.Missing)
	return b.String()
}

func list(b *strings.Builder, items []string) {
	for i, item := range items {
		if i == maxListed {
			fmt.Fprintf(b, "        and %d more\n", len(items)-maxListed)
			return
		}
		fmt.Fprintf(b, "        %s\n", item)
	}
}

// Verify compares all that the node produced so far with what the stores have.
func (s *System) Verify(ctx context.Context) (Report, error) {
	var r Report
	var err error
	if r.Lines, err = s.Lines(ctx); err != nil {
		return r, fmt.Errorf("verify lines: %w", err)
	}
	if r.Series, err = s.Series(ctx); err != nil {
		return r, fmt.Errorf("verify series: %w", err)
	}
	if r.Traces, err = s.Traces(ctx); err != nil {
		return r, fmt.Errorf("verify traces: %w", err)
	}
	return r, nil
}

// Drain waits until everything arrived or the context ends, and returns the
// last report; call Node.StopWriting before.
func (s *System) Drain(ctx context.Context) (Report, error) {
	for {
		// An expiring context must not cut the last look short.
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		r, err := s.Verify(look)
		cancel()
		if err == nil && r.Complete() {
			return r, nil
		}
		wait := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			wait.Stop()
			return r, errors.Join(err, s.Err())
		case <-wait.C:
		}
	}
}
