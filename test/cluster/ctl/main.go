// Command ctl makes and ends the tests' Kubernetes cluster, and does to it what
// kubectl cannot. Run without arguments, it says what.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
)

const usage = `usage: go run ./test/cluster/ctl COMMAND

  up                     make the cluster, or bring it up to date
  down                   end it and remove every trace
  remains                list what there is of it on this machine; fail if anything
  build                  build kubectl, helm and the cluster's programs, ahead of time
  image-import FILE...   give every node the images of docker or OCI archives
  start [NODE/]DAEMON    start a daemon that was stopped
  stop [NODE/]DAEMON     end a daemon; containers live on
  kill [NODE/]DAEMON     the same, by SIGKILL
  node [NUMBER] -- CMD   run a program in a node

NODE is a number, 1 if it is not given. DAEMON is etcd, kube-apiserver,
kube-controller-manager, kube-scheduler, containerd, kubelet or kube-proxy.

Environment (defaults): CLUSTER_NUMBER (0; others use .cluster/NUMBER), CLUSTER_NODES (1), CLUSTER_BACKEND
(kind where it and a Docker engine work, else native), CLUSTER_LOG_MAX_SIZE
(10Mi), CLUSTER_LOG_MAX_FILES (5), CLUSTER_LOG_MONITOR_INTERVAL (10s),
CLUSTER_KUBELET_CONFIG (further YAML), CROWSNEST_CACHE (the user's cache folder).
With CLUSTER_LOG_MAX_SIZE=256Ki CLUSTER_LOG_MAX_FILES=4
CLUSTER_LOG_MONITOR_INTERVAL=3s a busy container rotates every few seconds; "up"
takes such a change over to a running cluster.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command given")
	}
	o, err := cluster.FromEnvironment()
	if err != nil {
		return err
	}
	command, args := args[0], args[1:]
	switch command {
	case "up":
		_, err := cluster.Up(ctx, o, os.Stderr)
		return err
	case "down":
		return cluster.Down(ctx, o, os.Stderr)
	case "remains":
		return remains(ctx, o)
	case "build":
		return cluster.BuildAll(ctx, o, os.Stderr)
	}
	c, err := cluster.Attach(ctx, o, os.Stderr)
	if err != nil {
		return err
	}
	switch command {
	case "image-import":
		return c.ImportImages(ctx, args...)
	case "node":
		return inNode(ctx, c, args)
	}
	act, known := map[string]func(context.Context, int, string) error{"start": c.Start, "stop": c.Stop, "kill": c.Kill}[command]
	if !known || len(args) != 1 {
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("cannot %s", strings.Join(append([]string{command}, args...), " "))
	}
	number, daemon, err := nodeOf(args[0])
	if err != nil {
		return err
	}
	return act(ctx, number, daemon)
}

// nodeOf takes "2/kubelet" apart.
func nodeOf(arg string) (number int, daemon string, err error) {
	before, after, found := strings.Cut(arg, "/")
	if !found {
		return 1, arg, nil
	}
	if number, err = strconv.Atoi(before); err != nil {
		return 0, "", fmt.Errorf("parse number of node: %w", err)
	}
	return number, after, nil
}

func remains(ctx context.Context, o cluster.Options) error {
	left, err := cluster.Remains(ctx, o)
	if err != nil || len(left) == 0 {
		return err
	}
	return fmt.Errorf("there is of it:\n  %s", strings.Join(left, "\n  "))
}

func inNode(ctx context.Context, c *cluster.Cluster, args []string) error {
	number := 1
	if len(args) > 0 && args[0] != "--" {
		var err error
		if number, err = strconv.Atoi(args[0]); err != nil {
			return fmt.Errorf("parse number of node: %w", err)
		}
		args = args[1:]
	}
	if len(args) < 2 || args[0] != "--" {
		return errors.New("no program given: want node [NUMBER] -- PROGRAM ARGS")
	}
	cmd, err := c.NodeCommand(ctx, number, args[1:]...)
	if err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}
