package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/system"
)

// schedule plays faults in the first two thirds of a run: what must not lose
// anything.
type schedule struct {
	system  *system.System
	length  time.Duration // 0 = as if a minute
	enabled bool
	say     func(string)

	running sync.WaitGroup
	err     error
}

type restarter interface {
	Kill() error
	Restart() error
}

func (f *schedule) start(ctx context.Context) {
	if !f.enabled {
		return
	}
	if f.length == 0 {
		f.length = time.Minute
	}
	f.running.Go(func() { f.err = f.play(ctx) })
}

// wait returns when no fault is going on.
func (f *schedule) wait() error {
	f.running.Wait()
	return f.err
}

func (f *schedule) play(ctx context.Context) error {
	for _, fault := range []struct {
		name   string
		target restarter
	}{{"agent", f.system.Agent}, {"Loki", f.system.Loki}, {"aggregator", f.system.Aggregator}} {
		if !sleep(ctx, f.length/9) {
			return nil
		}
		f.say("kill -9 " + fault.name)
		if err := fault.target.Kill(); err != nil {
			return fmt.Errorf("kill %s: %w", fault.name, err)
		}
		sleep(ctx, f.length/9) // it is started again also when the time is over
		if err := fault.target.Restart(); err != nil {
			return fmt.Errorf("start %s again: %w", fault.name, err)
		}
		f.say("started " + fault.name + " again")
	}
	return nil
}

// sleep returns false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
