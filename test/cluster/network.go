package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
)

// network is the addresses of a cluster. Clusters of other numbers share none.
type network struct {
	number int
	nodes  int
}

func (n network) bridge() string           { return fmt.Sprintf("crowsnest%d", n.number) }
func (n network) host() string             { return fmt.Sprintf("10.199.%d.1", n.number) }
func (n network) node(i int) string        { return fmt.Sprintf("10.199.%d.%d", n.number, 1+i) }
func (n network) podsOf(i int) string      { return fmt.Sprintf("10.%d.%d.0/24", 240+n.number, i) }
func (n network) pods() string             { return fmt.Sprintf("10.%d.0.0/16", 240+n.number) }
func (n network) services() string         { return fmt.Sprintf("10.%d.0.0/16", 96+n.number) }
func (n network) service(last byte) string { return fmt.Sprintf("10.%d.0.%d", 96+n.number, last) }
func (n network) veth(i int) string        { return fmt.Sprintf("%sn%d", n.bridge(), i) }

// free is an error if the machine has an address in the cluster's ranges.
func (n network) free() error {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, address := range addresses {
		has, err := netip.ParsePrefix(address.String())
		if err != nil {
			continue
		}
		for _, wanted := range []string{n.host() + "/24", n.pods(), n.services()} {
			if has.Overlaps(netip.MustParsePrefix(wanted)) {
				return fmt.Errorf("the machine has the address %s, which the cluster's %s overlaps: set CLUSTER_NUMBER to another, 0 to 9",
					has, wanted)
			}
		}
	}
	return nil
}

// connect makes the bridge, and routes by which this machine reaches what is
// behind it. It does not forward: the nodes have no way out.
func (n network) connect(ctx context.Context) error {
	if err := n.free(); err != nil {
		return err
	}
	for _, args := range []string{
		"link add " + n.bridge() + " type bridge",
		"addr add " + n.host() + "/24 dev " + n.bridge(),
		"link set " + n.bridge() + " up",
		"route add " + n.services() + " via " + n.node(1),
	} {
		if err := ip(ctx, args); err != nil {
			return err
		}
	}
	for i := 1; i <= n.nodes; i++ {
		if err := ip(ctx, "route add "+n.podsOf(i)+" via "+n.node(i)); err != nil {
			return err
		}
	}
	return nil
}

// plug connects a node, by the pid of its init, to the bridge.
func (n network) plug(ctx context.Context, i, pid int) error {
	for _, args := range []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", n.veth(i), pid),
		"link set " + n.veth(i) + " master " + n.bridge() + " up",
	} {
		if err := ip(ctx, args); err != nil {
			return err
		}
	}
	inside := []string{"addr add " + n.node(i) + "/24 dev eth0", "link set eth0 up", "route add default via " + n.host()}
	for other := 1; other <= n.nodes; other++ {
		if other != i {
			inside = append(inside, "route add "+n.podsOf(other)+" via "+n.node(other))
		}
	}
	for _, args := range inside {
		nsenter := append([]string{"-t", fmt.Sprint(pid), "-n", "ip"}, strings.Fields(args)...)
		if err := run(exec.CommandContext(ctx, "nsenter", nsenter...)); err != nil {
			return err
		}
	}
	return nil
}

// links are those of the cluster that the machine has.
func (n network) links(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ip", "-o", "link", "show").Output()
	if err != nil {
		return nil, fmt.Errorf("list network links: %w", err)
	}
	var links []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line) // 7: crowsnest0n1@if2: <BROADCAST,...
		if len(fields) < 2 {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(fields[1], ":"), "@")
		if name == n.bridge() || strings.HasPrefix(name, n.bridge()+"n") {
			links = append(links, name)
		}
	}
	return links, nil
}

// disconnect removes them; the routes go with them.
func (n network) disconnect(ctx context.Context) error {
	links, err := n.links(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		errs = append(errs, ip(ctx, "link del "+link))
	}
	if err := errors.Join(errs...); err == nil {
		return nil
	}
	// A link goes with the other end's namespace, too, perhaps just now.
	if links, err = n.links(ctx); err == nil && len(links) > 0 {
		err = errors.Join(errs...)
	}
	return err
}

func ip(ctx context.Context, args string) error {
	return run(exec.CommandContext(ctx, "ip", strings.Fields(args)...))
}
