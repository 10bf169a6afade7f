package statuspage

import "time"

// Status is what GET /api/v1/status answers. Counts are in items (log records,
// data points, spans), rates per second between the last two readings; a time
// that never was is left out. Keys may be added, none changes its meaning.
type Status struct {
	Time    time.Time `json:"time"`
	Cluster string    `json:"cluster,omitempty"`
	// Replicas are the aggregators whose view this is; Partial says that there
	// may be others which were not asked.
	Replicas []Replica `json:"replicas"`
	Partial  bool      `json:"partial"`
	// Problems are what a person should look at, the worst first.
	Problems    []Problem  `json:"problems"`
	Agents      []Program  `json:"agents"`
	Aggregators []Program  `json:"aggregators"`
	Nodes       []Node     `json:"nodes"`
	Ledger      []Balance  `json:"ledger"`
	Stores      []Store    `json:"stores"`
	Deliveries  []Delivery `json:"deliveries"`
	Alerts      *Alerts    `json:"alerts,omitempty"`
	// Omitted counts readings that found no place within the page's memory.
	Omitted uint64 `json:"omitted,omitempty"`
}

// Replica is one aggregator that was asked. ID is made anew at each start.
type Replica struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Address string `json:"address,omitempty"`
	// Error says why it did not answer.
	Error string `json:"error,omitempty"`
}

// Level of a problem.
type Level string

// The levels, the worst last.
const (
	Notice  Level = "notice"
	Warning Level = "warning"
	Failure Level = "failure"
)

// Problem is a sentence, and the page that says what to do.
type Problem struct {
	Level   Level  `json:"level"`
	Text    string `json:"text"`
	Runbook string `json:"runbook,omitempty"`
}

// State of a program.
type State string

// The states of a program.
const (
	StateOK     State = "ok"
	StateBehind State = "behind" // data waits longer than usual
	StateLosing State = "losing" // items were dropped lately
	StateSilent State = "silent" // nothing came for a while
	StateQuiet  State = "quiet"  // its data passes, but not its own metrics
)

// Program is an agent (named by its node) or an aggregator (by its pod).
type Program struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Version   string `json:"version,omitempty"`
	State     State  `json:"state"`
	// LastSeen is when anything of it passed, LastReading when its own metrics did.
	LastSeen    time.Time `json:"last_seen,omitzero"`
	LastReading time.Time `json:"last_reading,omitzero"`
	// IntervalSeconds is the time between its last two readings.
	IntervalSeconds float64 `json:"interval_seconds,omitempty"`
	// Lag is what waits: bytes of log files, and the age of a spool's oldest entry.
	LagBytes   float64   `json:"lag_bytes"`
	LagSeconds float64   `json:"lag_seconds"`
	SpoolBytes float64   `json:"spool_bytes"`
	LostFiles  float64   `json:"lost_files,omitempty"`
	LostAt     time.Time `json:"lost_at,omitzero"`
	// Signals are in the order logs, metrics, traces.
	Signals    []Tally     `json:"signals"`
	Components []Component `json:"components,omitempty"`
	Drops      []Drop      `json:"drops,omitempty"`
	Requests   []Request   `json:"requests,omitempty"`
}

// Queued sums what waits, over the signals.
func (p Program) Queued() float64 {
	var n float64
	for _, t := range p.Signals {
		n += t.Queued
	}
	return n
}

// Tally is one program's ledger of one signal.
type Tally struct {
	Signal    string  `json:"signal"`
	Received  float64 `json:"received"`
	Delivered float64 `json:"delivered"`
	Queued    float64 `json:"queued"`
	Dropped   float64 `json:"dropped"`
	// Rates are of received and delivered items.
	ReceivedRate  float64 `json:"received_per_second"`
	DeliveredRate float64 `json:"delivered_per_second"`
	// UnaccountedSince is since when received exceeds the sum of the others; it
	// is left out while the ledger is even, or was even lately.
	UnaccountedSince time.Time `json:"unaccounted_since,omitzero"`
}

// Difference is what the ledger does not account for; while items are moving it
// is now and then a little off 0.
func (t Tally) Difference() float64 { return t.Received - t.Delivered - t.Queued - t.Dropped }

// Component is what one exporter of an aggregator did with a signal.
type Component struct {
	Signal        string  `json:"signal"`
	Component     string  `json:"component"`
	Delivered     float64 `json:"delivered"`
	DeliveredRate float64 `json:"delivered_per_second"`
}

// Drop is why items were given up.
type Drop struct {
	Signal    string    `json:"signal"`
	Component string    `json:"component"`
	Reason    string    `json:"reason"`
	Items     float64   `json:"items"`
	Last      time.Time `json:"last,omitzero"` // when it last grew, if that was seen
}

// Request counts answers of a store ("loki", "prometheus", "jaeger") by code.
type Request struct {
	Store     string    `json:"store"`
	Component string    `json:"component"`
	Code      string    `json:"code"` // HTTP or gRPC; "none": no answer
	Total     float64   `json:"total"`
	Rate      float64   `json:"per_second"`
	Last      time.Time `json:"last,omitzero"`
}

// Node is one that the cluster has.
type Node struct {
	Name     string    `json:"name"`
	LastSeen time.Time `json:"last_seen"`
	Agent    bool      `json:"agent"` // an agent of it was seen
}

// Balance is the ledger of a signal, summed over agents or aggregators.
type Balance struct {
	Role string `json:"role"` // agent, aggregator
	Tally
	Programs int `json:"programs"`
}

// Store is what the exporters tell of one.
type Store struct {
	Store       string      `json:"store"`
	Component   string      `json:"component"`
	Signal      string      `json:"signal"`
	State       StoreState  `json:"state"`
	Since       time.Time   `json:"since,omitzero"` // of a state that is not ok
	LastSuccess time.Time   `json:"last_success,omitzero"`
	LastFailure time.Time   `json:"last_failure,omitzero"`
	Failure     string      `json:"failure,omitempty"` // text of the last failure, or its code
	Waiting     int64       `json:"waiting"`           // requests without an answer
	Delivered   float64     `json:"delivered"`
	Rate        float64     `json:"delivered_per_second"`
	Dropped     float64     `json:"dropped"`
	Answers     []CodeCount `json:"answers"`
}

// CodeCount is how often a store gave an answer.
type CodeCount struct {
	Code  string  `json:"code"`
	Total float64 `json:"total"`
	Rate  float64 `json:"per_second"`
}

// Success says whether the store took what it was sent.
func (c CodeCount) Success() bool { return isSuccess(c.Code) }

// StoreState is how a store does.
type StoreState string

// The states of a store.
const (
	StoreOK      StoreState = "ok"
	StoreIdle    StoreState = "idle"    // nothing was sent yet
	StoreWaiting StoreState = "waiting" // requests wait for an answer
	StoreFailing StoreState = "failing" // does not take data; it is sent again
)

// Delivery is how what follows a pipeline's tap answers, on one aggregator.
type Delivery struct {
	Replica      string    `json:"replica"`
	Signal       string    `json:"signal"`
	Waiting      int64     `json:"waiting"`
	WaitingSince time.Time `json:"waiting_since,omitzero"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	LastSuccess  time.Time `json:"last_success,omitzero"`
	LastFailure  time.Time `json:"last_failure,omitzero"`
	Failure      string    `json:"failure,omitempty"`
}

// Alerts are Prometheus' active ones.
type Alerts struct {
	Error  string  `json:"error,omitempty"` // why they are not known
	Active []Alert `json:"active"`
	More   int     `json:"more,omitempty"` // that are not listed
}

// Alert is one that is pending or firing.
type Alert struct {
	Name        string            `json:"name"`
	State       string            `json:"state"`
	Severity    string            `json:"severity,omitempty"`
	Summary     string            `json:"summary,omitempty"`
	Description string            `json:"description,omitempty"`
	Runbook     string            `json:"runbook,omitempty"`
	Since       time.Time         `json:"since,omitzero"`
	Labels      map[string]string `json:"labels,omitempty"`
}
