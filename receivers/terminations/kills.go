package terminations

import "time"

func (c *counter) findCgroups() {
	if c.kernel == nil {
		return
	}
	if err := c.kernel.find(); err != nil {
		c.complain("cgroups", "Cgroups cannot be read; OOM kills are counted only where they ended a container", err)
		return
	}
	c.complaints.Over("cgroups", "Cgroups can be read again")
}

// readKills takes over the kernel's counts.
func (c *counter) readKills() {
	if c.kernel == nil {
		return
	}
	now := time.Now().UnixMilli()
	ofPods := c.killsOfPods()   // before those of containers, which can then only be more
	ending := map[string]bool{} // pods with a container whose end is not known yet
	for id, known := range c.tally.Containers {
		kills, ok := c.kernel.kills(id)
		if ok && kills > known.Kills {
			c.note(record{Kind: kindKills, ID: id, At: now, Kills: kills, Old: c.fresh})
		}
		ending[known.UID] = ending[known.UID] || !ok && !known.Exited
	}
	for uid, kills := range ofPods {
		if counted := c.tally.Attributed[uid]; kills > counted && !ending[uid] && !c.fresh {
			c.attribute(uid, kills-counted, now)
		}
	}
}

func (c *counter) killsOfPods() map[string]uint64 {
	ofPods := map[string]uint64{}
	for uid := range c.kernel.pods {
		if kills, ok := c.kernel.killsOfPod(uid); ok {
			ofPods[uid] = kills
		}
	}
	return ofPods
}

// attribute finds whose the kills are that a pod's cgroup has and none of its
// living containers: those of one that ended, best of one that ended of it.
func (c *counter) attribute(uid string, missing uint64, now int64) {
	var ended *container
	var endedID string
	for id, known := range c.tally.Containers {
		if known.UID == uid && known.Exited && (ended == nil || known.OOMKilled && !ended.OOMKilled) {
			ended, endedID = known, id
		}
	}
	if ended != nil {
		c.note(record{Kind: kindKills, ID: endedID, At: now, Kills: ended.Kills + missing})
	}
}
