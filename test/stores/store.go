package stores

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/process"
)

// Options of a store; the zero value is what most tests want.
type Options struct {
	Dir string    // data folder; "" = a temporary one, removed by Stop
	Log io.Writer // build progress and the program's own output; nil = os.Stderr for progress only
	// ScrapeTargets, of Prometheus only: host:port, scraped every second at
	// /metrics with honor_labels.
	ScrapeTargets []string
	// OutOfOrderWindow, of Prometheus only: how old a sample may be beside newer
	// ones of its series.
	OutOfOrderWindow time.Duration
	// MetricsURL, of Jaeger only: the Prometheus behind its Monitor tab.
	MetricsURL string
	// Unlimited, of Loki only: no limits by rate.
	Unlimited bool
}

// bindAttempts bounds the tries with other ports when one was taken meanwhile.
const bindAttempts = 5

// maxAnswerBytes bounds an answer of a store's query API.
const maxAnswerBytes = 256 << 20

// store is what the three have in common: a process, its folder, an HTTP client.
type store struct {
	*process.Process
	dir    string
	remove bool // the folder is ours
	base   string
	client *http.Client
}

// startStore builds and starts a program. arguments is called for each attempt
// with n free ports and writes what configuration the program needs into dir.
func startStore(ctx context.Context, p program, o Options, n int, readyPath string,
	arguments func(dir string, ports []int) ([]string, error)) (*store, []int, error) {
	progress := o.Log
	if progress == nil {
		progress = os.Stderr
	}
	path, err := p.Build(ctx, progress)
	if err != nil {
		return nil, nil, err
	}
	s := &store{dir: o.Dir, client: &http.Client{Transport: &http.Transport{}}}
	if s.dir == "" {
		s.remove = true
		if s.dir, err = os.MkdirTemp("", "crowsnest-"+p.Name+"-"); err != nil {
			return nil, nil, fmt.Errorf("make data folder of %s: %w", p.Name, err)
		}
	} else if s.dir, err = filepath.Abs(s.dir); err != nil {
		return nil, nil, fmt.Errorf("locate data folder of %s: %w", p.Name, err)
	}
	for attempt := 1; ; attempt++ {
		ports, err := s.launch(ctx, p, path, o.Log, n, readyPath, arguments)
		if err == nil {
			return s, ports, nil
		}
		var exit *process.ExitError
		if attempt < bindAttempts && errors.As(err, &exit) && exit.AddressInUse() {
			continue
		}
		return nil, nil, errors.Join(err, s.clean())
	}
}

// launch is one attempt; the first port serves the query API and readyPath.
func (s *store) launch(ctx context.Context, p program, path string, log io.Writer, n int, readyPath string,
	arguments func(dir string, ports []int) ([]string, error)) ([]int, error) {
	ports, err := process.FreePorts(n)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make data folder of %s: %w", p.Name, err)
	}
	args, err := arguments(s.dir, ports)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", p.Name, err)
	}
	s.base = "http://" + loopback(ports[0])
	s.Process, err = process.Start(ctx, process.Options{
		Name: p.Name, Path: path, Args: args,
		Env:     p.env,
		LogPath: filepath.Join(s.dir, p.Name+".log"), Mirror: log,
		Ready: func(ctx context.Context) error { return s.get(ctx, readyPath, nil, nil, nil) },
	})
	return ports, err
}

// Stop ends the store and removes its folder if Options.Dir was empty. Once it
// was called, Restart starts without data.
func (s *store) Stop() error {
	s.client.CloseIdleConnections() // an open one makes a graceful end wait
	return errors.Join(s.Process.Stop(), s.clean())
}

// Restart stops the store if it runs, and starts it on the same ports and data.
func (s *store) Restart() error {
	s.client.CloseIdleConnections()
	return s.Process.Restart()
}

// Dir is the folder with the store's data, configuration and log.
func (s *store) Dir() string { return s.dir }

func (s *store) clean() error {
	s.client.CloseIdleConnections()
	if !s.remove {
		return nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove data folder: %w", err)
	}
	return nil
}

// Get asks the store's HTTP API (path such as "/api/v1/labels") and decodes the
// JSON answer into v. An answer other than 2xx is an error with its text.
func (s *store) Get(ctx context.Context, path string, query url.Values, v any) error {
	return s.get(ctx, path, query, nil, v)
}

// post sends an empty request, as administrative endpoints want.
func (s *store) post(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, nil)
	if err != nil {
		return err
	}
	return s.do(req, nil)
}

func (s *store) get(ctx context.Context, path string, query url.Values, header http.Header, v any) error {
	target := s.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	if header != nil {
		req.Header = header
	}
	return s.do(req, v)
}

func (s *store) do(req *http.Request, v any) error {
	target := req.URL.String()
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", target, err)
	}
	if resp.StatusCode/100 != 2 {
		return &StatusError{Target: req.Method + " " + target, Code: resp.StatusCode, Body: string(lastLines(body, 1<<10))}
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode answer of %s: %w", target, err)
	}
	return nil
}

// StatusError is an HTTP answer other than 2xx.
type StatusError struct {
	Target string
	Code   int
	Body   string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: HTTP %d: %s", e.Target, e.Code, e.Body)
}

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// stopAfter registers the end of a store with a test, and shows what it said if
// the test failed.
func stopAfter(t testing.TB, s *store) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of %s:\n%s", s.LogPath(), s.LogTail())
		}
		if err := s.Stop(); err != nil {
			t.Errorf("stop store: %v", err)
		}
	})
}
