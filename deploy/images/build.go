package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// compile builds both programs, static, for Linux into a folder and returns
// their paths in the order of programs. The result depends on the source, the
// toolchain and the version only: not on the folder, not on the state of git.
func compile(ctx context.Context, root, arch, version, dir string) ([]string, error) {
	args := []string{
		"build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X github.com/crowsnest-o11y/crowsnest/pipeline.Version=" + version,
		"-o", dir + string(filepath.Separator),
	}
	var paths []string
	for _, p := range programs {
		args = append(args, p.pkg)
		paths = append(paths, filepath.Join(dir, filepath.Base(p.pkg)))
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=", "GOARM64=", "GOFLAGS=", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it end its compilers
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build for linux/%s in %s: %w\n%s", arch, root, err, stderr.Bytes())
	}
	return paths, nil
}

// moduleRoot is the project's folder.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/crowsnest-o11y/crowsnest").Output()
	if err != nil {
		return "", fmt.Errorf("find the project's source (run this inside of it): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// newRelease asks git, where there is one, what this is. The time of an image is
// SOURCE_DATE_EPOCH, else the commit's: never now, so that it can be built again.
// https://reproducible-builds.org/docs/source-date-epoch/
func newRelease(ctx context.Context, root, version string) (release, error) {
	r := release{version: version, revision: git(ctx, root, "rev-parse", "HEAD"), created: time.Unix(0, 0)}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		epoch = git(ctx, root, "log", "-1", "--format=%ct")
	}
	if epoch == "" {
		return r, nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return r, fmt.Errorf("parse SOURCE_DATE_EPOCH: %w", err)
	}
	r.created = time.Unix(seconds, 0)
	return r, nil
}

// git returns "" outside of a repository.
func git(ctx context.Context, root string, args ...string) string {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
