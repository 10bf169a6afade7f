package main

import (
	"context"
	"flag"
	"os"
	"runtime"
	"time"
)

// runOOM logs a few lines and then takes memory until the kernel ends it.
func runOOM(ctx context.Context, flags *flag.FlagSet, args []string) error {
	step := flags.Int("step", 4<<20, "bytes to take at a time")
	flags.Parse(args)
	out, err := newLines(os.Stdout)
	if err != nil {
		return err
	}
	// Slow enough for the lines to be on the node's disk before the end.
	if err := out.writeAll(ctx, 5, 10, 0); err != nil {
		return err
	}
	var taken [][]byte
	for ctx.Err() == nil {
		b := make([]byte, *step)
		for i := 0; i < len(b); i += os.Getpagesize() {
			b[i] = 1 // untouched pages cost nothing
		}
		taken = append(taken, b)
		if err := sleepUntil(ctx, time.Now().Add(20*time.Millisecond)); err != nil {
			return nil
		}
	}
	runtime.KeepAlive(taken)
	return nil
}
