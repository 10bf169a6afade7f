package kubemeta

import (
	"maps"
	"slices"
	"time"
)

// maxEarlier bounds the former container starts that a pod remembers. A pod in
// a crash loop makes one each few minutes at most, so this is more than the
// kubelet keeps logs of.
const maxEarlier = 16

// Put adds a pod or replaces its former version, whose container starts it
// inherits. The cache owns the pod from then on. An unchanged pod keeps its
// former pointer. Pods without a uid are ignored.
func (c *Cache) Put(p *Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweepLocked(time.Now())
	c.putLocked(p)
}

// Delete makes a tombstone of the pod with the uid.
func (c *Cache) Delete(uid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if e, ok := c.byUID[uid]; ok {
		c.buryLocked(e, now)
	}
	c.sweepLocked(now)
}

// Replace takes a full list: pods that are not in it become tombstones, and
// the cache is synced.
func (c *Cache) Replace(pods []*Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	listed := make(map[string]bool, len(pods))
	for _, p := range pods {
		listed[p.UID] = true
	}
	for uid, e := range c.byUID {
		if !listed[uid] {
			c.buryLocked(e, now)
		}
	}
	c.sweepLocked(now)
	for _, p := range pods {
		c.putLocked(p)
	}
	c.synced, c.heardAt = true, now
}

// Sweep removes expired tombstones. Every change does it too; a source calls
// it from time to time so that a quiet node forgets as well.
func (c *Cache) Sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweepLocked(time.Now())
}

func (c *Cache) putLocked(p *Pod) {
	if p.UID == "" {
		return
	}
	e, known := c.byUID[p.UID]
	if known {
		p = inherit(p, e.pod)
		if e.tomb == nil && e.pod.equal(p) {
			return
		}
	}
	size := p.size()
	if !c.makeRoomLocked(size, e) {
		c.refused++
		return
	}
	if known {
		c.forgetLocked(e)
	}
	e = &entry{pod: p, bytes: size}
	c.byUID[p.UID] = e
	c.bytes += size
	c.indexLocked(e)
}

// makeRoomLocked gives up tombstones, oldest first, until size bytes fit in
// place of the entry that they replace (which may be nil).
func (c *Cache) makeRoomLocked(size int, replaced *entry) bool {
	freed := 0
	if replaced != nil {
		freed = replaced.bytes
	}
	for oldest := c.dead.Front(); c.bytes-freed+size > maxBytes; {
		if oldest == nil {
			return false
		}
		e := oldest.Value.(*entry)
		oldest = oldest.Next()
		if e != replaced {
			c.forgetLocked(e)
		}
	}
	return true
}

func (c *Cache) buryLocked(e *entry, now time.Time) {
	if e.tomb != nil {
		return
	}
	e.expires = now.Add(Tombstone)
	e.tomb = c.dead.PushBack(e)
}

func (c *Cache) sweepLocked(now time.Time) {
	for front := c.dead.Front(); front != nil; front = c.dead.Front() {
		e := front.Value.(*entry)
		if e.expires.After(now) && c.dead.Len() <= maxTombstones {
			return
		}
		c.forgetLocked(e)
	}
}

func (c *Cache) indexLocked(e *entry) {
	p := e.pod
	claim(c.byName, podName{p.Namespace, p.Name}, e)
	if p.ConfigHash != "" {
		claim(c.byHash, p.ConfigHash, e)
	}
	if !p.HostNetwork {
		for _, ip := range p.IPs {
			claim(c.byIP, ip, e)
		}
	}
	for _, starts := range [...][]Container{p.Earlier, p.Containers} {
		for i := range starts {
			if starts[i].ID != "" {
				c.byID[starts[i].ID] = containerEntry{e, &starts[i]}
			}
		}
	}
}

// forgetLocked removes an entry and whatever still points to it.
func (c *Cache) forgetLocked(e *entry) {
	p := e.pod
	if e.tomb != nil {
		c.dead.Remove(e.tomb)
		e.tomb = nil
	}
	c.bytes -= e.bytes
	release(c.byUID, p.UID, e)
	release(c.byHash, p.ConfigHash, e)
	release(c.byName, podName{p.Namespace, p.Name}, e)
	for _, ip := range p.IPs {
		release(c.byIP, ip, e)
	}
	for _, starts := range [...][]Container{p.Earlier, p.Containers} {
		for i := range starts {
			if c.byID[starts[i].ID].entry == e {
				delete(c.byID, starts[i].ID)
			}
		}
	}
}

// claim gives the key to the entry unless a pod that is more likely meant has it.
func claim[K comparable](index map[K]*entry, key K, e *entry) {
	if holder, taken := index[key]; !taken || e.outranks(holder) {
		index[key] = e
	}
}

func release[K comparable](index map[K]*entry, key K, e *entry) {
	if index[key] == e {
		delete(index, key)
	}
}

// outranks decides who has a name or an address that two pods claim: the one
// that runs (a finished pod keeps showing an address that was given on), then
// the newer one.
func (e *entry) outranks(holder *entry) bool {
	if e.active() != holder.active() {
		return e.active()
	}
	return !e.pod.CreatedAt.Before(holder.pod.CreatedAt)
}

func (e *entry) active() bool { return e.tomb == nil && !e.pod.Finished }

// inherit gives a new version the container starts that only the old one knows.
func inherit(p, old *Pod) *Pod {
	merged := *p
	merged.Earlier = slices.Clone(p.Earlier)
	for _, starts := range [...][]Container{old.Containers, old.Earlier} {
		for _, start := range starts {
			if start.ID != "" && !merged.knows(start.ID) && len(merged.Earlier) < maxEarlier {
				merged.Earlier = append(merged.Earlier, start)
			}
		}
	}
	return &merged
}

func (p *Pod) knows(id string) bool {
	is := func(c Container) bool { return c.ID == id }
	return slices.ContainsFunc(p.Containers, is) || slices.ContainsFunc(p.Earlier, is)
}

func (p *Pod) equal(q *Pod) bool {
	return p.UID == q.UID && p.Name == q.Name && p.Namespace == q.Namespace &&
		p.NodeName == q.NodeName && p.ConfigHash == q.ConfigHash &&
		p.HostNetwork == q.HostNetwork && p.Phase == q.Phase && p.Finished == q.Finished && p.Ready == q.Ready &&
		p.Owner == q.Owner && p.Workload == q.Workload &&
		p.CreatedAt.Equal(q.CreatedAt) && p.StartTime.Equal(q.StartTime) &&
		slices.Equal(p.IPs, q.IPs) && slices.Equal(p.Ports, q.Ports) &&
		slices.Equal(p.Containers, q.Containers) && slices.Equal(p.Earlier, q.Earlier) &&
		maps.Equal(p.Labels, q.Labels) && maps.Equal(p.Annotations, q.Annotations)
}

// size estimates the bytes that a pod and its index entries occupy: the text,
// and a constant for each struct and map slot round it.
func (p *Pod) size() int {
	const perPod, perContainer, perPort, perPair, perAddress = 740, 300, 72, 48, 64
	n := perPod + len(p.UID) + len(p.Name) + len(p.Namespace) + len(p.NodeName) + len(p.ConfigHash) +
		len(p.Owner.Kind) + len(p.Owner.Name) + perAddress*len(p.IPs)
	for _, pairs := range [...]map[string]string{p.Labels, p.Annotations} {
		for key, value := range pairs {
			n += perPair + len(key) + len(value)
		}
	}
	for i := range p.Ports {
		n += perPort + len(p.Ports[i].Name)
	}
	for _, starts := range [...][]Container{p.Containers, p.Earlier} {
		for i := range starts {
			c := &starts[i]
			n += perContainer + len(c.Name) + len(c.ID) + len(c.Image.Name) + len(c.Image.Tag) + len(c.Image.Digest)
		}
	}
	return n
}
