// Package cadence says when something that is done again and again is done: at
// the same times after each restart, and at other times than its peers do it.
//
// Thousands of agents that were rolled out together would otherwise ask the
// same servers, and send to the same aggregators, in the same moment.
package cadence

import (
	"context"
	"hash/fnv"
	"time"
)

// Cadence is the times that are Phase past a multiple of Interval since 1970.
type Cadence struct {
	Interval, Phase time.Duration // Phase is less than Interval
}

// Of gives everything with a name (a node, a target) a phase of its own.
func Of(name string, interval time.Duration) Cadence {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return Cadence{interval, time.Duration(hash.Sum64() % uint64(interval))}
}

// Part is the i-th of n cadences that are spread evenly over the interval.
func (c Cadence) Part(i, n int) Cadence {
	c.Phase = (c.Phase + c.Interval*time.Duration(i)/time.Duration(n)) % c.Interval
	return c
}

// Wait is how long it is until the next of the times; zero at one of them.
func (c Cadence) Wait(now time.Time) time.Duration {
	past := time.Duration(now.UnixNano()) % c.Interval
	return (c.Phase - past + c.Interval) % c.Interval
}

// Run calls do at each of the times until ctx ends. A call that lasts past the
// next time is followed by another one at once; further ones are left out.
func (c Cadence) Run(ctx context.Context, do func(context.Context)) {
	first := time.NewTimer(c.Wait(time.Now()))
	defer first.Stop()
	select {
	case <-ctx.Done():
		return
	case <-first.C:
	}
	ticker := time.NewTicker(c.Interval)
	defer ticker.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
