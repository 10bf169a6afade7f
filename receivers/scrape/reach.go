package scrape

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"syscall"
)

// own says whether an address is the agent's own machine, or a cloud's metadata
// service, which tells a machine its credentials.
func own(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
}

// checkReach refuses addresses by which relabelling would lead the agent to its
// own machine instead of to the pod.
func (t *target) checkReach(pod netip.Addr) error {
	u, err := url.Parse(t.urls[0])
	if err != nil {
		return fmt.Errorf("parse URL: %w", err)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err == nil && ip.Unmap() == pod {
		return nil
	}
	if u.Hostname() == "localhost" || err == nil && own(ip) {
		return fmt.Errorf("relabelling makes the address %s, which is the agent's own machine", u.Host)
	}
	return nil
}

// dialOthers does what checkReach does for names, of which nobody knows before
// what they stand for. Addresses were checked.
func dialOthers(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		d.Control = func(_, resolved string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(resolved)
			if err == nil && own(at.Addr()) {
				err = fmt.Errorf("%s stands for %s, which is the agent's own machine", host, at.Addr())
			}
			return err
		}
	}
	return d.DialContext(ctx, network, address)
}
