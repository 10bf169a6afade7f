package terminations

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// snapshot is the tally as it is written: JSON has no maps by struct.
type snapshot struct {
	Generation uint64                `json:"generation"`
	Containers map[string]*container `json:"containers"`
	Exits      []exitCount           `json:"exits"`
	Kills      []killCount           `json:"kills"`
	Pods       []podSeen             `json:"pods"`
	Attributed map[string]uint64     `json:"attributed"`
}

type exitCount struct {
	exitKey
	series
}

type killCount struct {
	containerKey
	series
}

type podSeen struct {
	podKey
	Seen time.Time
}

func (t *tally) encode(generation uint64) ([]byte, error) {
	s := snapshot{Generation: generation, Containers: t.Containers, Attributed: t.Attributed}
	for key, value := range t.Exits {
		s.Exits = append(s.Exits, exitCount{key, *value})
	}
	for key, value := range t.Kills {
		s.Kills = append(s.Kills, killCount{key, *value})
	}
	for key, seen := range t.Pods {
		s.Pods = append(s.Pods, podSeen{key, seen})
	}
	return json.Marshal(s)
}

// decode fills an empty tally. A pod counts as seen now: the time in which
// nobody looked must not make it expire.
func (t *tally) decode(b []byte, now time.Time) (generation uint64, err error) {
	var s snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return 0, fmt.Errorf("decode state: %w", err)
	}
	for id, c := range s.Containers {
		if c != nil {
			t.Containers[id] = c
		}
	}
	for uid, kills := range s.Attributed {
		t.Attributed[uid] = kills
	}
	for _, c := range s.Exits {
		t.Exits[c.exitKey] = &c.series
	}
	for _, c := range s.Kills {
		t.Kills[c.containerKey] = &c.series
	}
	for _, p := range s.Pods {
		t.Pods[p.podKey] = now
	}
	return s.Generation, nil
}

// The journal's lines are the CRC-32 (hex, 8 digits) of what follows the space,
// and that: a journalHead first, then records.
type journalHead struct {
	Generation uint64 `json:"generation"` // of the snapshot that it follows
}

func encodeLine(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode journal: %w", err)
	}
	line := fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(b), b)
	return line, nil
}

// nextLine gives what the first line of b has; ok is false where the journal
// ends, be it within a line.
func nextLine(b []byte) (content, rest []byte, ok bool) {
	line, rest, found := bytes.Cut(b, []byte{'\n'})
	if !found || len(line) < 9 || line[8] != ' ' {
		return nil, nil, false
	}
	sum, err := strconv.ParseUint(string(line[:8]), 16, 32)
	if err != nil || uint32(sum) != crc32.ChecksumIEEE(line[9:]) {
		return nil, nil, false
	}
	return line[9:], rest, true
}

// replay applies a journal of this generation and gives the number of its
// records and of the bytes at its end that are none.
func (t *tally) replay(b []byte, generation uint64) (records, torn int) {
	content, rest, ok := nextLine(b)
	var head journalHead
	if !ok || json.Unmarshal(content, &head) != nil {
		return 0, len(b)
	}
	if head.Generation != generation {
		return 0, 0 // of before the snapshot, which has all of it
	}
	for len(rest) > 0 {
		content, next, ok := nextLine(rest)
		var r record
		if !ok || json.Unmarshal(content, &r) != nil {
			return records, len(rest)
		}
		t.apply(r.bounded())
		records++
		rest = next
	}
	return records, 0
}
