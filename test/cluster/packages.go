package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// debianPackages has, by command that a node takes from the machine, the Debian
// package that brings it.
var debianPackages = map[string]string{
	"runc":    "runc",
	"nft":     "nftables",
	"ip":      "iproute2",
	"nsenter": "util-linux",
	"unshare": "util-linux",
	"setsid":  "util-linux",
	"mount":   "mount",
	"bash":    "bash",
	"awk":     "mawk",
}

// installPackages installs what is missing, by apt-get.
func installPackages(ctx context.Context, log io.Writer) error {
	missing := map[string]bool{}
	for command, pkg := range debianPackages {
		if _, err := exec.LookPath(command); err != nil {
			missing[pkg] = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	packages := slices.Sorted(maps.Keys(missing))
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this machine lacks %s and has no apt-get: install by its own package manager what Debian calls so",
			strings.Join(packages, ", "))
	}
	fmt.Fprintf(log, "cluster: installing %s\n", strings.Join(packages, ", "))
	install := append([]string{"install", "-y", "-q", "--no-install-recommends"}, packages...)
	first := aptGet(ctx, install)
	if first == nil {
		return nil
	}
	// The lists may be too old, or not there.
	if err := aptGet(ctx, []string{"update", "-q"}); err != nil {
		return errors.Join(first, err)
	}
	return aptGet(ctx, install)
}

func aptGet(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return run(cmd)
}

// run tells a command's own words when it fails.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
