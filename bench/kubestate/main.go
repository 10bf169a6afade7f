// Command kubestate measures what cluster state costs: it fills a real etcd and
// kube-apiserver with pods, runs the receiver "kubestate" in scope all as a
// process of its own, whose consumer only counts, and tells its memory, its CPU
// time at rest and by event, and how long the first list takes.
//
//	go run ./bench/kubestate -pods 10000
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
)

func main() {
	pods := flag.Int("pods", 10_000, "pods that there are")
	events := flag.Int("events", 10_000, "changes of pods' status to measure")
	interval := flag.Duration("interval", 30*time.Second, "collection_interval")
	rest := flag.Duration("rest", 2*time.Minute, "how long to measure at rest")
	watched := flag.String("watch", "", "kubeconfig: be the watching process")
	flag.Parse()
	err := error(nil)
	if *watched != "" {
		err = watch(*watched, *interval)
	} else {
		err = measure(*pods, *events, *interval, *rest)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubestate:", err)
		os.Exit(1)
	}
}

func measure(pods, events int, interval, rest time.Duration) error {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kubestate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := apiserver.Start(ctx, dir, os.Stderr)
	if err != nil {
		return err
	}
	defer server.Stop()
	clients, err := connect(server.Config())
	if err != nil {
		return err
	}
	empty, err := begin(server, interval)
	if err != nil {
		return err
	}
	empty.wait(1)
	time.Sleep(5 * time.Second)
	fmt.Printf("without pods          RSS %5.1f MiB\n", empty.rss())
	if err := empty.end(); err != nil {
		return err
	}
	began := time.Now()
	if err := fill(ctx, clients, pods); err != nil {
		return err
	}
	fmt.Printf("made %d pods in %v\n", pods, time.Since(began).Round(time.Second))
	w, err := begin(server, interval)
	if err != nil {
		return err
	}
	defer w.end()
	first := w.wait(1)
	fmt.Printf("first pass            %v after the start of the process, %s, CPU %.2f s, RSS %5.1f MiB, peak %5.1f MiB\n",
		first.at.Sub(w.began).Round(time.Millisecond), first.text, w.cpu(), w.rss(), w.peak())
	w.wait(3) // until the heap is as it stays
	restCPU := w.atRest(rest)
	fmt.Printf("at rest               CPU %.2f %% of a core at an interval of %v, RSS %5.1f MiB, peak %5.1f MiB\n",
		100*restCPU, interval, w.rss(), w.peak())
	before, began := w.cpu(), time.Now()
	if err := change(ctx, clients, pods, events); err != nil {
		return err
	}
	took := time.Since(began)
	time.Sleep(2 * time.Second)
	spent := w.cpu() - before - restCPU*time.Since(began).Seconds()
	fmt.Printf("%d events at %.0f/s   CPU %.1f ms per 1,000 beyond rest, RSS %5.1f MiB, peak %5.1f MiB\n",
		events, float64(events)/took.Seconds(), 1e6*spent/float64(events), w.rss(), w.peak())
	return nil
}

// connect makes several connections: one alone is slower than the server.
func connect(config *rest.Config) (clients []*kubernetes.Clientset, err error) {
	config.ContentType = "application/vnd.kubernetes.protobuf"
	for range 8 {
		c, err := kubernetes.NewForConfig(rest.CopyConfig(config))
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// spread calls f with 0 to n-1, as many at a time as there are clients.
func spread(clients []*kubernetes.Clientset, n int, f func(c *kubernetes.Clientset, i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(clients))
	for k, c := range clients {
		wg.Go(func() {
			for i := k; i < n && errs[k] == nil; i += len(clients) {
				errs[k] = f(c, i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// watcher is the process that is measured.
type watcher struct {
	cmd    *exec.Cmd
	began  time.Time
	passes chan pass
	stdin  io.Closer
}

type pass struct {
	at   time.Time
	text string
}

func begin(server *apiserver.Server, interval time.Duration) (*watcher, error) {
	kubeconfig, err := server.Kubeconfig(server.Config())
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &watcher{cmd: exec.Command(self, "-watch", kubeconfig, "-interval", interval.String()), passes: make(chan pass, 1000)}
	w.cmd.Stderr = os.Stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	w.began = time.Now()
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(w.passes)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			w.passes <- pass{time.Now(), lines.Text()}
		}
	}()
	return w, nil
}

// wait waits for n passes and returns the last.
func (w *watcher) wait(n int) (last pass) {
	for range n {
		last = <-w.passes
	}
	return last
}

func (w *watcher) end() error {
	w.stdin.Close() // asks it to end
	return w.cmd.Wait()
}

// atRest is the share of a core that the process takes when nothing happens.
func (w *watcher) atRest(d time.Duration) float64 {
	cpu, began := w.cpu(), time.Now()
	time.Sleep(d)
	return (w.cpu() - cpu) / time.Since(began).Seconds()
}

// cpu is the CPU time of the process in seconds.
func (w *watcher) cpu() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.cmd.Process.Pid))
	if err != nil {
		panic(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const user, system, hertz = 11, 12, 100
	ticks := 0.0
	for _, i := range []int{user, system} {
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			panic(err)
		}
		ticks += n
	}
	return ticks / hertz
}

func (w *watcher) rss() float64  { return w.status("VmRSS:") }
func (w *watcher) peak() float64 { return w.status("VmHWM:") }

// status reads a size from /proc, in MiB.
func (w *watcher) status(key string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				panic(err)
			}
			return kib / 1024
		}
	}
	panic("no " + key)
}
