package toolchain

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Program is a program and how it is built.
type Program struct {
	Name    string
	Module  string   // folder of the go.mod that pins it, from the project's root: "test/stores/loki"
	Package string   // import path, or "./folder" for a main package of the module itself
	Flags   []string // of go build, besides -o
	Minutes int      // a cold build takes on two cores
}

// Build returns the path of the program, after building it if this version of
// it is not in the cache. Several programs at once build it once.
func (p Program) Build(ctx context.Context, progress io.Writer) (string, error) {
	path, err := p.path(ctx)
	if err != nil {
		return "", fmt.Errorf("locate build of %s: %w", p.Name, err)
	}
	if isFile(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := Lock(ctx, filepath.Join(filepath.Dir(path), p.Name+".lock"), func() {
		fmt.Fprintf(progress, "toolchain: waiting for another program that builds %s\n", p.Name)
	})
	if err != nil {
		return "", fmt.Errorf("lock build of %s: %w", p.Name, err)
	}
	defer unlock()
	if isFile(path) {
		return path, nil
	}
	if err := p.compile(ctx, path, progress); err != nil {
		return "", fmt.Errorf("build %s: %w", p.Name, err)
	}
	return path, nil
}

// Cache is the folder of built programs and of what else outlives a checkout.
func Cache() (string, error) {
	if cache := os.Getenv("CROWSNEST_CACHE"); cache != "" {
		return filepath.Abs(cache)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w (set CROWSNEST_CACHE to a folder for built programs)", err)
	}
	return filepath.Join(user, "crowsnest"), nil
}

// path names the build by all that it is made from.
func (p Program) path(ctx context.Context) (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	module, err := p.module(ctx)
	if err != nil {
		return "", err
	}
	sources := []string{"go.mod", "go.sum"}
	if strings.HasPrefix(p.Package, "./") {
		own, err := filepath.Glob(filepath.Join(module, p.Package, "*.go"))
		if err != nil {
			return "", err
		}
		for _, file := range own {
			sources = append(sources, filepath.Join(p.Package, filepath.Base(file)))
		}
	}
	hash := sha256.New()
	for _, name := range sources {
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
	fmt.Fprintf(hash, "%s %q %s", p.Package, p.Flags, version)
	return filepath.Join(cache, fmt.Sprintf("%s-%x", p.Name, hash.Sum(nil)[:8])), nil
}

// module is the folder with the program's go.mod: found from this file, or, when
// the caller was built with -trimpath, where the go command finds the project.
func (p Program) module(ctx context.Context) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "..", "..", p.Module)
	if isFile(filepath.Join(dir, "go.mod")) {
		return dir, nil
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/crowsnest-o11y/crowsnest").Output()
	if err != nil {
		return "", fmt.Errorf("find the project's source: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), p.Module), nil
}

func (p Program) goCommand(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it end its compilers
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (p Program) compile(ctx context.Context, path string, progress io.Writer) error {
	module, err := p.module(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "toolchain: building %s, once; about %d min on two idle cores if nothing of it is cached\n",
		p.Name, p.Minutes)
	partial := path + ".partial"
	defer os.Remove(partial)
	args := append([]string{"build", "-v", "-o", partial}, p.Flags...)
	cmd := p.goCommand(ctx, module, append(args, p.Package)...)
	out := &buildOutput{}
	cmd.Stderr = out

	start := time.Now()
	stop := every(15*time.Second, func() {
		fmt.Fprintf(progress, "toolchain: building %s: %s, %d packages compiled\n",
			p.Name, time.Since(start).Round(time.Second), out.packages())
	})
	err = cmd.Run()
	stop()
	if err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", module, err, out.tail())
	}
	fmt.Fprintf(progress, "toolchain: built %s in %s\n", p.Name, time.Since(start).Round(time.Second))
	// Renaming makes it appear whole or not at all.
	return os.Rename(partial, path)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
