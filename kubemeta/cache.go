package kubemeta

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Bounds of the cache.
const (
	// DefaultTombstone is how long a deleted pod stays findable: longer than
	// an agent needs to read and retry the last lines of a pod under load.
	DefaultTombstone = 5 * time.Minute
	// maxTombstones bounds the deleted pods that are kept; the oldest go first.
	maxTombstones = 1024
	// maxBytes bounds all kept pods by their estimated size. At about 2 KiB a
	// pod it is far beyond what a node can run, and far below what hurts one.
	maxBytes = 64 << 20
)

// Cache finds pods. It is safe for concurrent use; lookups take a read lock
// and allocate nothing.
type Cache struct {
	tombstone time.Duration

	mu      sync.RWMutex // guards everything below
	byUID   map[string]*entry
	byHash  map[string]*entry
	byName  map[podName]*entry
	byID    map[string]containerEntry
	byIP    map[netip.Addr]*entry
	dead    list.List // of *entry, oldest deletion first
	bytes   int
	refused uint64
	synced  bool
	noPods  bool // no source will ever fill it
	touched time.Time
}

type podName struct{ namespace, name string }

// entry is a pod in the cache; dead is nil while the pod exists.
type entry struct {
	pod     *Pod
	bytes   int
	dead    *list.Element
	expires time.Time
}

type containerEntry struct {
	entry     *entry
	container *Container
}

// NewCache makes an empty cache that keeps deleted pods for the given time.
func NewCache(tombstone time.Duration) *Cache {
	return &Cache{
		tombstone: tombstone,
		byUID:     map[string]*entry{},
		byHash:    map[string]*entry{},
		byName:    map[podName]*entry{},
		byID:      map[string]containerEntry{},
		byIP:      map[netip.Addr]*entry{},
	}
}

// ByUID finds a pod by its uid or, for static pods, by its config hash, which
// is what stands in /var/log/pods paths.
func (c *Cache) ByUID(uid string) (*Pod, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e, ok := c.byUID[uid]; ok {
		return e.pod, true
	}
	if e, ok := c.byHash[uid]; ok {
		return e.pod, true
	}
	return nil, false
}

// ByName finds the newest pod of a name; StatefulSets use names again.
func (c *Cache) ByName(namespace, name string) (*Pod, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e, ok := c.byName[podName{namespace, name}]; ok {
		return e.pod, true
	}
	return nil, false
}

// ByContainerID finds a container by the runtime's id, without
// "containerd://"; earlier starts are found too while they are remembered.
func (c *Cache) ByContainerID(id string) (*Pod, *Container, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e, ok := c.byID[id]; ok {
		return e.entry.pod, e.container, true
	}
	return nil, nil, false
}

// ByIP finds the pod that has the address now, or had it last. Pods on the
// host's network are never found: their address is every such pod's.
func (c *Cache) ByIP(ip netip.Addr) (*Pod, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e, ok := c.byIP[ip.Unmap().WithZone("")]; ok {
		return e.pod, true
	}
	return nil, false
}

// Synced tells whether the first full list has arrived (or none ever will,
// see Available): a pod that is not found then is a new one or not of this node.
func (c *Cache) Synced() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.synced || c.noPods
}

// Available tells whether anything fills the cache. When it is false
// (source none, not in a cluster) no pod will ever be found: a consumer that
// waits for pods must not wait.
func (c *Cache) Available() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return !c.noPods
}
