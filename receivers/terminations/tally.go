package terminations

import (
	"slices"
	"time"
)

// tally is what is counted, and which containers were. It changes by apply
// alone. Of one goroutine.
type tally struct {
	maxSeries     int
	maxContainers int

	Containers map[string]*container // by id
	Exits      map[exitKey]*series
	Kills      map[containerKey]*series
	Pods       map[podKey]time.Time // when the runtime last had a container of it
	Attributed map[string]uint64    // by pod UID: the kills that Kills has

	untracked int // records that found no room since the last look
}

// container is one start of a container, as long as news of it may come.
type container struct {
	identity
	Exited bool   `json:"exited,omitempty"` // and counted
	Gone   int64  `json:"gone,omitempty"`   // ms since 1970; 0: the runtime has it
	Kills  uint64 `json:"kills,omitempty"`  // counted

	OOMKilled bool `json:"oom,omitempty"` // is the reason of its end

	missed int // lists in a row that did not have it
}

type podKey struct{ Namespace, Pod string }

type containerKey struct{ Namespace, Pod, Container string }

type exitKey struct {
	containerKey
	Reason   string
	ExitCode int32
}

// series is one counter.
type series struct {
	Value   uint64 `json:"v"`
	Created int64  `json:"t"` // ms since 1970
	Told    bool   `json:"told,omitempty"`
}

func newTally(maxSeries, maxContainers int) *tally {
	return &tally{
		maxSeries: maxSeries, maxContainers: maxContainers,
		Containers: map[string]*container{},
		Exits:      map[exitKey]*series{},
		Kills:      map[containerKey]*series{},
		Pods:       map[podKey]time.Time{},
		Attributed: map[string]uint64{},
	}
}

func (i identity) key() containerKey {
	return containerKey{i.Namespace, i.Pod, i.Container}
}

func (i identity) pod() podKey { return podKey{i.Namespace, i.Pod} }

// apply makes a change. It tells whether the change was one: that which is
// known already changes nothing, however often it comes.
func (t *tally) apply(r record) bool {
	switch r.Kind {
	case kindRunning:
		return t.running(r)
	case kindExited:
		return t.exited(r)
	case kindKills:
		return t.killed(r)
	case kindGone:
		return t.gone(r)
	case kindTold:
		return t.told()
	case kindExpired:
		return t.expire(r.pod())
	}
	return false // of a later version
}

// track finds the container, or makes it if there is room.
func (t *tally) track(r record) *container {
	if c := t.Containers[r.ID]; c != nil {
		return c
	}
	if len(t.Containers) >= t.maxContainers && !t.forgetOldest() {
		t.untracked++
		return nil
	}
	c := &container{identity: r.identity}
	t.Containers[r.ID] = c
	t.Pods[r.pod()] = r.time()
	return c
}

func (t *tally) running(r record) bool {
	if t.Containers[r.ID] != nil {
		return false
	}
	if t.track(r) == nil {
		return false
	}
	t.killSeries(r) // at 0, so that the first kill is an increase
	return true
}

func (t *tally) exited(r record) bool {
	c := t.track(r)
	if c == nil || c.Exited {
		return false
	}
	c.Exited, c.OOMKilled = true, r.Reason == reasonOOMKilled
	t.Pods[c.pod()] = r.time()
	key := exitKey{c.key(), r.Reason, r.ExitCode}
	s := t.Exits[key]
	if s == nil && t.full() {
		key = exitKey{Reason: reasonSeriesLimit}
		s = t.Exits[key]
	}
	if s == nil {
		s = &series{Created: r.At, Told: r.Old}
		t.Exits[key] = s
	}
	s.Value++
	return true
}

// killed takes over the count of one container's killed processes.
func (t *tally) killed(r record) bool {
	c := t.track(r)
	if c == nil || r.Kills <= c.Kills {
		return false
	}
	r.identity = c.identity
	t.killSeries(r).Value += r.Kills - c.Kills
	t.Attributed[c.UID] += r.Kills - c.Kills
	c.Kills = r.Kills
	return true
}

func (t *tally) killSeries(r record) *series {
	key := r.key()
	s := t.Kills[key]
	if s == nil && t.full() {
		key = containerKey{}
		s = t.Kills[key]
	}
	if s == nil {
		s = &series{Created: r.At, Told: r.Old}
		t.Kills[key] = s
	}
	return s
}

// full tells that no series may be added, save the two of those over the limit.
func (t *tally) full() bool { return len(t.Exits)+len(t.Kills) >= t.maxSeries }

func (t *tally) gone(r record) bool {
	c := t.Containers[r.ID]
	if c == nil || c.Gone != 0 {
		return false
	}
	c.Gone = r.At
	return true
}

// told notes that all series that there are were sent. It asks no clock: one that
// was set back would leave counters at 0 until it is where it was.
func (t *tally) told() (changed bool) {
	changed = t.untold()
	for _, s := range t.Exits {
		s.Told = true
	}
	for _, s := range t.Kills {
		s.Told = true
	}
	return changed
}

// untold tells whether a series has not been sent with value 0 yet.
func (t *tally) untold() bool {
	for _, s := range t.Exits {
		if !s.Told {
			return true
		}
	}
	for _, s := range t.Kills {
		if !s.Told {
			return true
		}
	}
	return false
}

func (t *tally) expire(pod podKey) bool {
	delete(t.Pods, pod)
	for key := range t.Exits {
		if key.of(pod) {
			delete(t.Exits, key)
		}
	}
	for key := range t.Kills {
		if key.of(pod) {
			delete(t.Kills, key)
		}
	}
	return true
}

// of says whether a series is one of the pod's. Those over the limit are nobody's,
// be it that a container made by hand has no pod either.
func (k containerKey) of(pod podKey) bool {
	return k.pod() == pod && k != (containerKey{})
}

func (k containerKey) pod() podKey { return podKey{k.Namespace, k.Pod} }

// expired are the pods that the runtime has not had for so long. It keeps alive
// those that it has.
func (t *tally) expired(now time.Time, retention time.Duration) (pods []podKey) {
	uids := map[string]bool{}
	for _, c := range t.Containers {
		if c.Gone == 0 {
			t.Pods[c.pod()] = now
		}
		uids[c.UID] = true
	}
	for uid := range t.Attributed {
		if !uids[uid] {
			delete(t.Attributed, uid)
		}
	}
	for pod, seen := range t.Pods {
		if now.Sub(seen) > retention {
			pods = append(pods, pod)
		}
	}
	return pods
}

// memory is how long a container is remembered that the runtime forgot: late
// news of it must not count it again. containerd keeps events for 5 min.
const memory = 6 * time.Minute

// forget drops the containers of which no news can come any more.
func (t *tally) forget(now time.Time) {
	for id, c := range t.Containers {
		if c.Gone != 0 && now.Sub(time.UnixMilli(c.Gone)) > memory {
			delete(t.Containers, id)
		}
	}
}

// forgetOldest makes room for new containers: a tenth of those that are gone.
func (t *tally) forgetOldest() bool {
	type old struct {
		id   string
		gone int64
	}
	var gone []old
	for id, c := range t.Containers {
		if c.Gone != 0 {
			gone = append(gone, old{id, c.Gone})
		}
	}
	slices.SortFunc(gone, func(a, b old) int { return int(a.gone - b.gone) })
	for _, o := range gone[:min(len(gone), len(gone)/10+1)] {
		delete(t.Containers, o.id)
	}
	return len(gone) > 0
}
