package kubeattrs

import (
	"net"
	"net/netip"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// outcome is what became of a resource; its index is that of outcomes.
type outcome int

const (
	enriched  outcome = iota
	notFound          // it names a pod, or came from an address, that is not known
	anonymous         // nothing in it to find a pod by
	nodeLevel         // about the node and not a pod, or no pods are configured
)

var outcomes = [...]string{"enriched", "not_found", "no_identity", "node"}

// clues are what a resource says about its pod.
type clues struct {
	uid, containerID         string
	namespace, pod           string
	container                string
	restartCount             int // -1: not told
	ip                       string
	servesURL, namesAnything bool
}

// cluesOf reads a resource in one pass.
func cluesOf(attrs pcommon.Map) clues {
	c := clues{restartCount: -1}
	for key, value := range attrs.All() {
		switch key {
		case podUID:
			c.uid = value.Str()
		case containerID:
			c.containerID = value.Str()
		case namespaceName:
			c.namespace = value.Str()
		case podName:
			c.pod = value.Str()
		case podIP:
			c.ip = value.Str()
		case containerName:
			c.container = value.Str()
		case restartCount:
			if value.Type() == pcommon.ValueTypeInt {
				c.restartCount = int(value.Int())
			}
		case urlPath:
			c.servesURL = true
		}
	}
	c.namesAnything = c.uid != "" || c.containerID != "" || c.pod != "" || c.ip != ""
	return c
}

// find looks a subject up. The sender's address is used only for resources
// that name no pod.
func (c *clues) find(cache *kubemeta.Cache, sender netip.Addr) (subject, outcome) {
	if pod, ok := cache.ByUID(c.uid); ok && c.uid != "" {
		return c.within(pod), enriched
	}
	if c.containerID != "" {
		if pod, container, ok := cache.ByContainerID(c.containerID); ok && c.agrees(pod) {
			return subject{pod, container, true}, enriched
		}
	}
	if c.pod != "" && c.namespace != "" {
		if pod, ok := cache.ByName(c.namespace, c.pod); ok && c.agrees(pod) {
			return c.within(pod), enriched
		}
	}
	if ip, ok := c.address(sender); ok {
		if pod, ok := cache.ByIP(ip); ok && c.agrees(pod) {
			return c.within(pod), enriched
		}
	}
	return subject{}, c.unmatched(sender)
}

func (c *clues) unmatched(sender netip.Addr) outcome {
	if c.namesAnything || sender.IsValid() {
		return notFound
	}
	return anonymous
}

// agrees refuses a pod that is another than the resource names: a namesake
// that came after it, or the next holder of its address.
func (c *clues) agrees(pod *kubemeta.Pod) bool {
	return (c.uid == "" || c.uid == pod.UID || c.uid == pod.ConfigHash) &&
		(c.pod == "" || c.pod == pod.Name) &&
		(c.namespace == "" || c.namespace == pod.Namespace)
}

func (c *clues) address(sender netip.Addr) (netip.Addr, bool) {
	if c.ip != "" {
		ip, err := netip.ParseAddr(c.ip)
		return ip, err == nil
	}
	return sender, !c.namesAnything && sender.IsValid()
}

// within finds the container in a pod that is known.
func (c *clues) within(pod *kubemeta.Pod) subject {
	if c.containerID != "" {
		if container, ok := pod.ContainerByID(c.containerID); ok {
			return subject{pod, container, true}
		}
	}
	if c.container == "" {
		container, ok := pod.OnlyContainer()
		return subject{pod, container, ok && c.restartCount < 0 && c.containerID == ""}
	}
	if c.restartCount >= 0 {
		if container, ok := pod.ContainerStart(c.container, c.restartCount); ok {
			return subject{pod, container, true}
		}
	}
	container, ok := pod.Container(c.container)
	return subject{pod, container, ok && c.restartCount < 0 && c.containerID == ""}
}

// hostOf is the address without port that data came from, if it is one.
func hostOf(addr net.Addr) netip.Addr {
	switch a := addr.(type) {
	case nil:
		return netip.Addr{}
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.IPAddr:
		ip, _ := netip.AddrFromSlice(a.IP)
		return ip.Unmap()
	}
	if ap, err := netip.ParseAddrPort(addr.String()); err == nil {
		return ap.Addr().Unmap()
	}
	ip, _ := netip.ParseAddr(addr.String()) // the zero Addr for what is none, such as a socket's path
	return ip.Unmap()
}
