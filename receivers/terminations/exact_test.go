package terminations

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crowsnest-o11y/crowsnest/test/containerd"
)

// containersVariable is how many containers TestExact runs.
const containersVariable = "CROWSNEST_TERMINATIONS_CONTAINERS"

const (
	exactPods    = 6
	exactWorkers = 6
	// sweepAfter is how long an ended container stays: the kubelet's least is
	// about a minute.
	sweepAfter = 8 * time.Second
)

// TestExact runs many short containers on a real containerd, some of which the
// kernel kills, while the receiver is killed and its connections are broken
// again and again: every counter must be exact, must never go back and must
// begin with 0.
func TestExact(t *testing.T) {
	count := 300
	if text := os.Getenv(containersVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	runtime := containerd.Test(t)
	proxy := newProxy(t, runtime.Socket)
	config := testConfig("unix://" + proxy.path)
	config.Directory = t.TempDir()
	receiver := startChild(t, config)
	waitFor(t, receiver, "a batch before any container", func(map[string]float64) bool { return true })

	load := &load{runtime: runtime, want: map[string]float64{}}
	disturbing, stop := context.WithCancel(t.Context())
	var disturbances sync.WaitGroup
	var kills, breaks int
	disturbances.Go(func() {
		for disturbing.Err() == nil {
			select {
			case <-disturbing.Done():
				return
			case <-time.After(time.Duration(1+rand.IntN(4)) * time.Second):
			}
			if rand.IntN(2) == 0 {
				breaks++
				proxy.breakAll()
				continue
			}
			kills++
			if err := receiver.Kill(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond) // down, while containers end
			if err := receiver.Restart(); err != nil {
				t.Error(err)
			}
		}
	})
	began := time.Now()
	err := load.run(t.Context(), count)
	stop()
	disturbances.Wait()
	if err != nil {
		t.Fatalf("%v\ncontainerd:\n%s", err, runtime.Log())
	}
	t.Logf("%d containers in %s; receiver killed %d times, connections broken %d times", count, time.Since(began).Round(time.Second), kills, breaks)

	got := waitFor(t, receiver, "exact counters", func(batch map[string]float64) bool { return cmp.Equal(nonzero(batch), load.want) })
	if diff := cmp.Diff(load.want, nonzero(got)); diff != "" {
		t.Fatalf("counters differ (-want +got):\n%s", diff)
	}
	t.Logf("%d series, %d exits, %d OOM kills: exact", len(load.want), sum(load.want, exitsName), sum(load.want, killsName))
	if err := receiver.Kill(); err != nil {
		t.Fatal(err)
	}
	before := len(receiver.batches(t))
	if err := receiver.Restart(); err != nil {
		t.Fatal(err)
	}
	got = waitFor(t, receiver, "three more batches", func(map[string]float64) bool { return len(receiver.batches(t)) >= before+3 })
	if diff := cmp.Diff(load.want, nonzero(got)); diff != "" {
		t.Errorf("counters changed after a restart (-want +got):\n%s", diff)
	}
	checkCounters(t, receiver.batches(t))
}

func testConfig(endpoint string) Config {
	config := *defaultConfig()
	config.Endpoint, config.Node = endpoint, "node-1"
	config.CollectionInterval = 500 * time.Millisecond
	return config
}

// waitFor waits for a last batch that is as it should be. It ends with the
// test's own time limit, or when nothing changes any more.
func waitFor(t *testing.T, c *child, what string, ok func(map[string]float64) bool) map[string]float64 {
	t.Helper()
	var last map[string]float64
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
		batches := c.batches(t)
		if len(batches) == 0 {
			if what == "a batch before any container" {
				return nil // nothing to count yet, so nothing is sent
			}
			continue
		}
		if last = batches[len(batches)-1]; ok(last) {
			return last
		}
	}
	t.Logf("%s: not within a minute", what)
	return last
}

func nonzero(batch map[string]float64) map[string]float64 {
	batch = maps.Clone(batch)
	maps.DeleteFunc(batch, func(_ string, value float64) bool { return value == 0 })
	return batch
}

func sum(batch map[string]float64, name string) (total int) {
	for series, value := range batch {
		if strings.HasPrefix(series, name+"{") {
			total += int(value)
		}
	}
	return total
}

// checkCounters looks at every sample that was ever sent.
func checkCounters(t *testing.T, batches []map[string]float64) {
	t.Helper()
	last := map[string]float64{}
	for i, batch := range batches {
		for series, value := range batch {
			before, known := last[series]
			if value < before {
				t.Errorf("batch %d: %s went from %v back to %v", i, series, before, value)
			}
			if !known && value != 0 {
				t.Errorf("batch %d: %s began with %v", i, series, value)
			}
			last[series] = value
		}
	}
}

// load runs containers and knows what must be counted.
type load struct {
	runtime *containerd.Containerd
	mu      sync.Mutex
	want    map[string]float64
	ended   []ended
}

type ended struct {
	id string
	at time.Time
}

func (l *load) run(ctx context.Context, count int) error {
	var pods []*containerd.Pod
	for i := range exactPods {
		pod, err := l.runtime.Pod(ctx, "shop", fmt.Sprintf("web-%d", i))
		if err != nil {
			return err
		}
		pods = append(pods, pod)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for worker := range exactWorkers {
		workers.Go(func() {
			for i := worker; i < count && ctx.Err() == nil; i += exactWorkers {
				if err := l.one(ctx, pods[i%len(pods)], i); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// one runs a container and has it removed later, as the kubelet would.
func (l *load) one(ctx context.Context, pod *containerd.Pod, i int) error {
	args, reason, code, limit := []string{"exit", "200ms", "0"}, "Completed", 0, int64(0)
	switch {
	case i%20 == 7:
		args, reason, code, limit = []string{"eat"}, reasonOOMKilled, 137, 32<<20
	case i%5 == 3:
		args, reason, code = []string{"exit", "200ms", "3"}, "Error", 3
	}
	name := fmt.Sprintf("c%d", i%4)
	id, err := pod.Run(ctx, name, uint32(i), limit, args...)
	if err != nil {
		return err
	}
	status, err := l.runtime.Wait(ctx, id)
	if err != nil {
		return err
	}
	if status.GetReason() != reason || int(status.GetExitCode()) != code {
		return fmt.Errorf("container %s %v ended with %s %d, not with %s %d", id, args, status.GetReason(), status.GetExitCode(), reason, code)
	}
	l.mu.Lock()
	l.want[fmt.Sprintf("%s{container=%q,exit_code=%q,namespace=%q,pod=%q,reason=%q}", exitsName, name, strconv.Itoa(code), pod.Namespace, pod.Name, reason)]++
	if reason == reasonOOMKilled {
		l.want[fmt.Sprintf("%s{container=%q,namespace=%q,pod=%q}", killsName, name, pod.Namespace, pod.Name)]++
	}
	l.ended = append(l.ended, ended{id, time.Now()})
	l.mu.Unlock()
	return l.sweep(ctx)
}

// sweep removes what ended a while ago.
func (l *load) sweep(ctx context.Context) error {
	for {
		l.mu.Lock()
		if len(l.ended) == 0 || time.Since(l.ended[0].at) < sweepAfter {
			l.mu.Unlock()
			return nil
		}
		id := l.ended[0].id
		l.ended = l.ended[1:]
		l.mu.Unlock()
		if err := l.runtime.Remove(ctx, id); err != nil {
			return err
		}
	}
}
