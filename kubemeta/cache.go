package kubemeta

import (
	"container/list"
	"context"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// Bounds of the cache.
const (
	// Tombstone is how long a deleted pod stays findable: longer than an agent
	// needs to read and retry the last lines of a pod.
	Tombstone = 5 * time.Minute
	// maxTombstones bounds the deleted pods that are kept; the oldest go first.
	maxTombstones = 1024
	// maxBytes bounds all kept pods by their estimated size. At about 2 KiB a
	// pod it is far beyond what a node runs, and far below what hurts one.
	maxBytes = 64 << 20
)

// Cache finds pods. It is safe for concurrent use; lookups take a read lock
// and allocate nothing.
type Cache struct {
	mu       sync.RWMutex // guards everything below
	byUID    map[string]*entry
	byHash   map[string]*entry
	byName   map[podName]*entry
	byID     map[string]containerEntry
	byIP     map[netip.Addr]*entry
	dead     list.List // of *entry, oldest deletion first
	bytes    int
	refused  uint64
	errors   map[Reason]uint64
	synced   bool
	disabled bool // no source will ever fill it
	heardAt  time.Time
}

type podName struct{ namespace, name string }

// entry is a pod in the cache; tomb is nil while the pod exists.
type entry struct {
	pod     *Pod
	bytes   int
	tomb    *list.Element
	expires time.Time
}

type containerEntry struct {
	entry     *entry
	container *Container
}

// NewCache makes an empty cache.
func NewCache() *Cache {
	return &Cache{
		byUID:  map[string]*entry{},
		byHash: map[string]*entry{},
		byName: map[podName]*entry{},
		byID:   map[string]containerEntry{},
		byIP:   map[netip.Addr]*entry{},
		errors: map[Reason]uint64{},
	}
}

// ByUID finds a pod by its uid or, for static pods, by its config hash, which
// is what stands in /var/log/pods paths.
func (c *Cache) ByUID(uid string) (*Pod, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.byUID[uid]
	if !ok {
		e, ok = c.byHash[uid]
	}
	return found(e, ok)
}

// ByName finds the newest pod of a name; StatefulSets use names again.
func (c *Cache) ByName(namespace, name string) (*Pod, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.byName[podName{namespace, name}]
	return found(e, ok)
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

// Pods are all that exist now, in no order.
func (c *Cache) Pods() []*Pod {
	c.mu.RLock()
	defer c.mu.RUnlock()
	pods := make([]*Pod, 0, len(c.byUID))
	for _, e := range c.byUID {
		if e.tomb == nil {
			pods = append(pods, e.pod)
		}
	}
	return pods
}

// ByIP finds the pod that has the address now, or had it last. Pods on the
// host's network are never found: their address is every such pod's.
func (c *Cache) ByIP(ip netip.Addr) (*Pod, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.byIP[ip.Unmap().WithZone("")]
	return found(e, ok)
}

func found(e *entry, ok bool) (*Pod, bool) {
	if !ok {
		return nil, false
	}
	return e.pod, true
}

// Disable says that no source will ever fill the cache.
func (c *Cache) Disable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disabled = true
}

// Available tells whether a source fills the cache. When it is false (source
// none, or not in a cluster) no pod will ever be found: a consumer that waits
// for pods must not wait.
func (c *Cache) Available() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return !c.disabled
}

// Synced tells whether the first full list has arrived, or none ever will: a
// pod that is not found then is a new one, or not of this node.
func (c *Cache) Synced() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.synced || c.disabled
}

// Stats are figures about a cache and its source.
type Stats struct {
	Pods       int
	Tombstones int
	// Bytes is the estimated size of all pods, tombstones included.
	Bytes int
	// Refused counts pods that were not taken since the cache was at its bound.
	Refused uint64
	// HeardAt is when the source last answered; zero before it did.
	HeardAt time.Time
	Errors  map[Reason]uint64
}

// Stats reads the figures.
func (c *Cache) Stats() Stats {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return Stats{
		Pods:       len(c.byUID) - c.dead.Len(),
		Tombstones: c.dead.Len(),
		Bytes:      c.bytes,
		Refused:    c.refused,
		HeardAt:    c.heardAt,
		Errors:     maps.Clone(c.errors),
	}
}

func (c *Cache) countError(reason Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errors[reason]++
}

// heard notes that the source answered, even if with nothing new.
func (c *Cache) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heardAt = time.Now()
}

// sweepUntil forgets expired tombstones while the source has nothing to tell.
func (c *Cache) sweepUntil(ctx context.Context) {
	for kubeapi.Pause(ctx, time.Minute) {
		c.Sweep()
	}
}
