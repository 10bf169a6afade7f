package terminations

import "time"

// kind is what a record tells.
type kind string

const (
	kindRunning kind = "run"    // a container is there and will end some day
	kindExited  kind = "exit"   // it ended
	kindKills   kind = "kills"  // the kernel's OOM killer has killed so many of its processes so far
	kindGone    kind = "gone"   // the runtime forgot it
	kindTold    kind = "told"   // the series made until now have been sent with value 0
	kindExpired kind = "expire" // the series of a pod are forgotten
)

// record is one change of the tally. The tally changes by records alone, so
// that a journal of them makes it again.
type record struct {
	Kind kind   `json:"k"`
	ID   string `json:"id,omitempty"` // the runtime's id of the container
	identity
	At       int64  `json:"t"` // ms since 1970: when it was learnt
	Reason   string `json:"r,omitempty"`
	ExitCode int32  `json:"x,omitempty"`
	Kills    uint64 `json:"n,omitempty"`
	// Old: it happened before Crowsnest was on the node, so that its series
	// begins with this count and not with 0.
	Old bool `json:"old,omitempty"`
}

// identity says whose container it is.
type identity struct {
	Namespace string `json:"ns,omitempty"`
	Pod       string `json:"p,omitempty"`
	UID       string `json:"u,omitempty"` // of the pod
	Container string `json:"c,omitempty"`
}

// Reasons of the tally itself; the others are the runtime's.
const (
	// reasonUnknown and exitCodeUnknown are what Kubernetes says of a container
	// that is gone with nobody having seen it end.
	reasonUnknown   = "ContainerStatusUnknown"
	exitCodeUnknown = 137
	// reasonOOMKilled is what runtimes and Kubernetes say.
	reasonOOMKilled = "OOMKilled"
	// reasonSeriesLimit bears what is over max_series.
	reasonSeriesLimit = "SeriesLimit"
)

// maxText bounds each text of a record; Kubernetes' names have at most 253
// bytes and ids 64.
const maxText = 256

// bounded cuts the texts of a record: they come from the runtime, which had
// them from whoever talks to it.
func (r record) bounded() record {
	for _, text := range []*string{&r.ID, &r.Namespace, &r.Pod, &r.UID, &r.Container, &r.Reason} {
		if len(*text) > maxText {
			*text = (*text)[:maxText]
		}
	}
	return r
}

func (r record) time() time.Time { return time.UnixMilli(r.At) }
