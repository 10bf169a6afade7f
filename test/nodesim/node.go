package nodesim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Node is a running simulation.
type Node struct {
	PodsDir    string // as /var/log/pods
	KubeletURL string // https://127.0.0.1:PORT
	CAFile     string // signed the kubelet's certificate
	TokenFile  string // bearer token that the kubelet accepts

	config Config
	pods   []*Pod
	start  time.Time

	kubelet *kubelet
	tracer  *tracer // nil without traces

	stopLines   context.CancelFunc
	lines       sync.WaitGroup
	stopRotates context.CancelFunc
	rotates     sync.WaitGroup

	mu  sync.Mutex
	err error // the first that ended a loop
}

// jobLines is what a Job's container or an init container wrote in its time.
const jobLines = 40

// Start simulates a node until Close. The context bounds only the start.
func Start(ctx context.Context, c Config) (*Node, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("simulate node: %w", err)
	}
	r := rand.New(rand.NewPCG(c.Seed, 0xc40e5))
	n := &Node{
		PodsDir:   filepath.Join(c.Dir, "pods"),
		CAFile:    filepath.Join(c.Dir, "ca.crt"),
		TokenFile: filepath.Join(c.Dir, "token"),
		config:    c,
		start:     time.Now(),
	}
	n.pods = makePods(c.Pods, c.NodeName, r, n.start)
	if err := n.createLogs(r); err != nil {
		return nil, fmt.Errorf("create pod logs: %w", err)
	}
	var err error
	if n.kubelet, err = startKubelet(n, hexDigits(r, 40)); err != nil {
		return nil, fmt.Errorf("start kubelet: %w", err)
	}
	n.KubeletURL = n.kubelet.url
	if err := n.startTracer(ctx); err != nil {
		return nil, errors.Join(err, n.kubelet.Close())
	}
	n.startWriting(rand.New(rand.NewPCG(c.Seed, 1)))
	return n, nil
}

// Pods of the node.
func (n *Node) Pods() []*Pod { return n.pods }

// Running lists the containers that run, those that metrics pages show.
func (n *Node) Running() []*Container {
	var running []*Container
	for _, p := range n.pods {
		if !p.Done {
			running = append(running, p.Containers...)
		}
	}
	return running
}

// Streams tells what every container wrote.
func (n *Node) Streams() []StreamStatus {
	var all []StreamStatus
	n.eachContainer(func(c *Container) error {
		s := c.log.status()
		s.Namespace, s.Pod, s.Container = c.Pod.Namespace, c.Pod.Name, c.Name
		all = append(all, s)
		return nil
	})
	return all
}

// Written is how many lines all containers wrote.
func (n *Node) Written() uint64 {
	var total uint64
	for _, s := range n.Streams() {
		total += s.Written
	}
	return total
}

// Err is what ended the writing or rotating early: a full disk, for one.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

func (n *Node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = err
	}
}

// StopWriting ends lines, rotations and new traces. What was written stays; the
// kubelet's endpoints stay; traces not yet acknowledged are still sent again.
func (n *Node) StopWriting() {
	if n.tracer != nil {
		n.tracer.stopMaking()
	}
	n.stopLines()
	n.lines.Wait()
	n.stopRotates()
	n.rotates.Wait()
}

// Close ends everything; it may be called twice.
func (n *Node) Close() error {
	n.StopWriting()
	if n.tracer != nil {
		n.tracer.Close()
	}
	errs := []error{n.kubelet.Close()}
	n.eachContainer(func(c *Container) error {
		errs = append(errs, c.log.end())
		return nil
	})
	return errors.Join(append(errs, n.Err())...)
}

func (n *Node) eachContainer(f func(*Container) error) error {
	for _, p := range n.pods {
		for _, c := range append(append([]*Container(nil), p.Init...), p.Containers...) {
			if err := f(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// createLogs makes the files, with what finished containers wrote.
func (n *Node) createLogs(r *rand.Rand) error {
	if err := os.MkdirAll(n.PodsDir, 0o755); err != nil {
		return err
	}
	return n.eachContainer(func(c *Container) error {
		c.log = &logFile{dir: filepath.Join(c.Pod.logDir(n.PodsDir), c.Name), stream: c.Stream,
			id: hexDigits(r, 64), format: c.format, longEvery: n.config.LongLineEvery}
		if err := c.log.create(); err != nil {
			return err
		}
		finished := c.Pod.Done
		for _, i := range c.Pod.Init {
			finished = finished || i == c
		}
		if !finished || n.config.LinesPerSecond == 0 {
			return nil
		}
		for i := range jobLines {
			if err := c.log.write(n.start.Add(time.Duration(i-jobLines)*time.Millisecond), "", ""); err != nil {
				return err
			}
		}
		return c.log.end()
	})
}

func (n *Node) startWriting(r *rand.Rand) {
	writing, stopLines := context.WithCancel(context.Background())
	n.stopLines = stopLines
	n.lines.Go(func() { n.writeLines(writing, r) })
	rotating, stopRotates := context.WithCancel(context.Background())
	n.stopRotates = stopRotates
	n.rotates.Go(func() { n.rotateLogs(rotating) })
	if n.config.CrashEvery > 0 {
		n.rotates.Go(func() { n.crash(rotating, rand.New(rand.NewPCG(n.config.Seed, 2))) })
	}
}

// writeLines spreads the rate over the running containers at random.
func (n *Node) writeLines(ctx context.Context, r *rand.Rand) {
	running := n.Running()
	written := 0.0
	start := time.Now()
	every(ctx, 5*time.Millisecond, func() bool {
		now := time.Now()
		for due := now.Sub(start).Seconds() * n.config.LinesPerSecond; written < due && ctx.Err() == nil; written++ {
			if err := running[r.IntN(len(running))].log.write(time.Now(), "", ""); err != nil {
				n.fail(err)
				return false
			}
		}
		return true
	})
}

func (n *Node) rotateLogs(ctx context.Context) {
	every(ctx, n.config.LogCheckEvery, func() bool {
		for _, c := range n.Running() {
			if err := c.log.rotateIfLarge(n.config.LogMaxBytes, n.config.LogMaxFiles); err != nil {
				n.fail(err)
				return false
			}
		}
		return true
	})
}

func (n *Node) crash(ctx context.Context, r *rand.Rand) {
	every(ctx, n.config.CrashEvery, func() bool {
		for _, c := range n.Running() {
			if !c.crashing {
				continue
			}
			if err := c.log.restart(hexDigits(r, 64)); err != nil {
				n.fail(fmt.Errorf("restart container %s: %w", c.Name, err))
				return false
			}
		}
		return true
	})
}

// every calls f at an interval until the context ends or f returns false.
func every(ctx context.Context, interval time.Duration, f func() bool) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !f() {
				return
			}
		}
	}
}
