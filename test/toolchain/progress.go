package toolchain

import (
	"bytes"
	"slices"
	"sync"
	"time"
)

// buildOutput takes the stderr of "go build -v": a line per compiled package,
// and the compiler's complaints. It keeps only the end.
type buildOutput struct {
	mu    sync.Mutex
	lines int
	end   []byte
}

const buildOutputBytes = 8 << 10

func (o *buildOutput) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range bytes.Lines(b) {
		if !bytes.HasPrefix(line, []byte("go: downloading")) {
			o.lines++
		}
	}
	o.end = append(o.end, b...)
	o.end = slices.Delete(o.end, 0, max(0, len(o.end)-buildOutputBytes))
	return len(b), nil
}

func (o *buildOutput) packages() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lines
}

func (o *buildOutput) tail() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.end)
}

// every calls f until stop is called, which waits for a running call.
func every(interval time.Duration, f func()) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				f()
			}
		}
	})
	return func() { close(done); wg.Wait() }
}
