package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// pollInterval costs little beside what is asked.
	pollInterval = 200 * time.Millisecond
	// readyLimit is generous: a busy two-core machine needs 20 s for the slowest.
	readyLimit = 3 * time.Minute
	// processLimit is for a process to begin or to end. kube-apiserver gives its
	// clients a minute.
	processLimit = 90 * time.Second
	// logTailBytes is how much of a daemon's log an error carries.
	logTailBytes = 4 << 10
)

// errGone says that what is waited for will not come.
var errGone = errors.New("it ended")

// poll asks until there is no error. When it gives up, its error has the last
// one, and the end of the log, if there is one.
func poll(ctx context.Context, limit time.Duration, what, log string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if errors.Is(err, errGone) {
			return fmt.Errorf("wait for %s: %w%s", what, last, tailOf(log))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w%s", what, ctx.Err(), last, tailOf(log))
		case <-tick.C:
		}
	}
}

// tailOf is the end of a log for an error, "" if there is none.
func tailOf(log string) string {
	b, err := os.ReadFile(log)
	if err != nil || len(b) == 0 {
		return ""
	}
	b = b[max(0, len(b)-logTailBytes):]
	return fmt.Sprintf("\nend of %s:\n%s", log, bytes.TrimSpace(b))
}
