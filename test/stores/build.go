package stores

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// program is a store and how it is built.
type program struct {
	name    string // also the folder of its module
	pkg     string
	flags   []string // of go build, besides -o
	env     []string // of the running program
	minutes int      // cold, on two cores
}

var (
	prometheusProgram = program{
		name: "prometheus", pkg: "github.com/prometheus/prometheus/cmd/prometheus", minutes: 5,
		// Tests scrape static targets; the service discoveries would triple the build.
		flags: []string{"-tags", "remove_all_sd", "-ldflags", "-s -w"},
	}
	lokiProgram = program{
		name: "loki", pkg: "github.com/grafana/loki/v3/cmd/loki", minutes: 8,
		flags: []string{"-ldflags", "-s -w"},
	}
	jaegerProgram = program{
		name: "jaeger", pkg: "github.com/jaegertracing/jaeger/cmd/all-in-one", minutes: 3,
		flags: []string{"-ldflags", "-s -w"},
		env:   []string{"OTEL_TRACES_SAMPLER=always_off"},
	}
)

// BuildAll builds what is not built yet, one after the other.
func BuildAll(ctx context.Context, progress io.Writer) error {
	for _, p := range []program{prometheusProgram, lokiProgram, jaegerProgram} {
		if _, err := p.build(ctx, progress); err != nil {
			return err
		}
	}
	return nil
}

// build returns the path of the program, after building it if this version of
// it is not in the cache. Several test programs at once build it once.
func (p program) build(ctx context.Context, progress io.Writer) (string, error) {
	path, err := p.path(ctx)
	if err != nil {
		return "", fmt.Errorf("locate build of %s: %w", p.name, err)
	}
	if isFile(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(filepath.Dir(path), p.name+".lock"), func() {
		fmt.Fprintf(progress, "stores: waiting for another program that builds %s\n", p.name)
	})
	if err != nil {
		return "", fmt.Errorf("lock build of %s: %w", p.name, err)
	}
	defer unlock()
	if isFile(path) {
		return path, nil
	}
	if err := p.compile(ctx, path, progress); err != nil {
		return "", fmt.Errorf("build %s: %w", p.name, err)
	}
	return path, nil
}

// path names the build by all that it is made from.
func (p program) path(ctx context.Context) (string, error) {
	cache := os.Getenv("CROWSNEST_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("%w (set CROWSNEST_CACHE to a folder for the built stores)", err)
		}
		cache = filepath.Join(user, "crowsnest")
	}
	module, err := p.module(ctx)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(b), b)
	}
	version, err := p.goCommand(ctx, module, "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("ask the go command for its version: %w", err)
	}
	fmt.Fprintf(hash, "%s %q %s", p.pkg, p.flags, version)
	return filepath.Join(cache, fmt.Sprintf("%s-%x", p.name, hash.Sum(nil)[:8])), nil
}

// module is the folder with the program's go.mod.
func (p program) module(ctx context.Context) (string, error) {
	root, err := ProjectDir(ctx)
	return filepath.Join(root, "test", "stores", p.name), err
}

// ProjectDir is the folder of the project's source: above this file, or, when
// the caller was built with -trimpath, where the go command finds the module.
func ProjectDir(ctx context.Context) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	if root := filepath.Join(filepath.Dir(file), "..", ".."); isFile(filepath.Join(root, "go.mod")) {
		return root, nil
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/crowsnest-o11y/crowsnest").Output()
	if err != nil {
		return "", fmt.Errorf("find the project's source: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (p program) goCommand(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it end its compilers
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (p program) compile(ctx context.Context, path string, progress io.Writer) error {
	module, err := p.module(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "stores: building %s, once; about %d min on two idle cores if nothing of it is cached\n",
		p.name, p.minutes)
	partial := path + ".partial"
	defer os.Remove(partial)
	args := append([]string{"build", "-v", "-o", partial}, p.flags...)
	cmd := p.goCommand(ctx, module, append(args, p.pkg)...)
	out := &buildOutput{}
	cmd.Stderr = out

	start := time.Now()
	stop := every(15*time.Second, func() {
		fmt.Fprintf(progress, "stores: building %s: %s, %d packages compiled\n",
			p.name, time.Since(start).Round(time.Second), out.packages())
	})
	err = cmd.Run()
	stop()
	if err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", module, err, out.tail())
	}
	fmt.Fprintf(progress, "stores: built %s in %s\n", p.name, time.Since(start).Round(time.Second))
	// Renaming makes it appear whole or not at all.
	return os.Rename(partial, path)
}

// lock takes an exclusive lock on a file, which the kernel frees if we die.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for told := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if !told {
			told = true
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// lastLines keeps the end of b, in whole lines.
func lastLines(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	b = b[len(b)-limit:]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	return b
}
