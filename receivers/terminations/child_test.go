package terminations

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/test/process"
)

// childVariable makes the test's program a receiver that can be killed.
const childVariable = "CROWSNEST_TERMINATIONS_CHILD"

// childSettings is what the variable has, as JSON.
type childSettings struct {
	Config Config
	Output string // file that gets a line of JSON for each batch: value by series
}

func runChild(text string) {
	var settings childSettings
	if err := json.Unmarshal([]byte(text), &settings); err != nil {
		panic(err)
	}
	out, err := os.OpenFile(settings.Output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
		line, err := json.Marshal(flatten(md))
		if err != nil {
			return err
		}
		_, err = out.Write(append(line, '\n'))
		return err
	})
	if err != nil {
		panic(err)
	}
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.Logger = zap.Must(zap.NewDevelopment())
	r, err := NewFactory().CreateMetrics(context.Background(), set, &settings.Config, next)
	if err != nil {
		panic(err)
	}
	if err := r.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		panic(err)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	if err := r.Shutdown(context.Background()); err != nil {
		panic(err)
	}
}

// flatten gives values by series, as Prometheus writes them.
func flatten(md pmetric.Metrics) map[string]float64 {
	values := map[string]float64{}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, p := range m.Sum().DataPoints().All() {
					var labels []string
					for key, value := range p.Attributes().All() {
						labels = append(labels, fmt.Sprintf("%s=%q", key, value.Str()))
					}
					slices.Sort(labels)
					name := m.Name() + "{" + strings.Join(labels, ",") + "}"
					if p.Flags().NoRecordedValue() {
						name = "stale " + name
					}
					values[name] = p.DoubleValue()
				}
			}
		}
	}
	return values
}

// child is a receiver in a process of its own.
type child struct {
	*process.Process
	output string
}

func startChild(t *testing.T, config Config) *child {
	t.Helper()
	c := &child{output: filepath.Join(t.TempDir(), "batches")}
	settings, err := json.Marshal(childSettings{config, c.output})
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Process, err = process.Start(t.Context(), process.Options{
		Name: "receiver", Path: program, Env: []string{childVariable + "=" + string(settings)},
		LogPath: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("receiver:\n%s", c.LogTail())
		}
	})
	return c
}

// batches reads what the child sent so far; a line that is not whole is left out.
func (c *child) batches(t *testing.T) (all []map[string]float64) {
	t.Helper()
	f, err := os.Open(c.output)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var batch map[string]float64
		if json.Unmarshal(lines.Bytes(), &batch) == nil {
			all = append(all, batch)
		}
	}
	return all
}

// proxy stands before a unix socket, so that connections can be broken.
type proxy struct {
	path     string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "p") // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{path: filepath.Join(dir, "s")}
	if p.listener, err = net.Listen("unix", p.path); err != nil {
		t.Fatal(err)
	}
	p.running.Go(func() { p.accept(target) })
	t.Cleanup(func() {
		p.listener.Close()
		p.breakAll()
		p.running.Wait()
		os.RemoveAll(dir)
	})
	return p
}

func (p *proxy) accept(target string) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
			p.running.Go(func() {
				defer pair[1].Close()
				_, _ = io.Copy(pair[1], pair[0])
			})
		}
	}
}

// breakAll ends every connection.
func (p *proxy) breakAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
}
