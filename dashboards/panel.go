package dashboards

// Kind is Grafana's panel type.
type Kind string

const (
	TimeSeries Kind = "timeseries"
	Stat       Kind = "stat"
	BarGauge   Kind = "bargauge"
	Table      Kind = "table"
	Heatmap    Kind = "heatmap"
	Logs       Kind = "logs"
)

// Grafana's unit ids.
const (
	number       = "short"
	cores        = "suffix:cores"
	bytes        = "bytes"
	bytesPerSec  = "binBps"
	ratio        = "percentunit"
	seconds      = "s"
	milliseconds = "ms"
	duration     = "dtdurations"
	perSecond    = "cps"
	requests     = "reqps"
	packets      = "pps"
	operations   = "iops"
	moment       = "dateTimeFromNow" // milliseconds since 1970
	lines        = "suffix:lines"
	linesPerSec  = "suffix:lines/s"
	itemsPerSec  = "suffix:items/s"
	pods         = "suffix:pods"
	plain        = "string"
)

// Panel is one picture of a dashboard. Make it with the functions below: they
// are the common look.
type Panel struct {
	ID          uint32
	Kind        Kind
	Title       string
	Description string // what it shows, and when to worry
	Unit        string // of all queries that have none of their own
	Queries     []Query

	x, y, width, height uint32

	steps    *steps
	stacked  bool
	bars     bool
	named    bool
	min      *float64
	max      *float64
	empty    string // said instead of "No data", where that is good news
	sort     string // table: column to sort by, descending
	hidden   []string
	required string
	links    []link
}

// steps are thresholds: values from which a colour holds, green before.
type steps struct {
	values []float64
	// low says that small values are the bad ones.
	low bool
}

func above(values ...float64) *steps { return &steps{values: values} }
func under(values ...float64) *steps { return &steps{values: values, low: true} }

// stat is a number of now. Its query must answer in good times too.
func stat(title, description, unit string, query Query) Panel {
	query.Instant = true
	return Panel{Kind: Stat, Title: title, Description: description, Unit: unit, Queries: []Query{query}, width: 4, height: 4}
}

// graph draws lines over time.
func graph(title, description, unit string, queries ...Query) Panel {
	return Panel{Kind: TimeSeries, Title: title, Description: description, Unit: unit, Queries: queries, width: 12, height: 8}
}

// bars draws counts per interval, stacked.
func bars(title, description, unit string, queries ...Query) Panel {
	p := graph(title, description, unit, queries...).stack()
	p.bars = true
	return p
}

// ranking compares objects now; write topk into the query.
func ranking(title, description, unit string, query Query) Panel {
	query.Instant = true
	return Panel{Kind: BarGauge, Title: title, Description: description, Unit: unit, Queries: []Query{query}, width: 8, height: 8}
}

// table has a row per object and a column per query, joined by equal labels.
func table(title, description string, columns ...Query) Panel {
	for i := range columns {
		columns[i].Instant = true
	}
	return Panel{Kind: Table, Title: title, Description: description, Queries: columns, width: gridWidth, height: 9}
}

// heat shows how a histogram's buckets fill over time.
func heat(title, description, unit string, query Query) Panel {
	return Panel{Kind: Heatmap, Title: title, Description: description, Unit: unit, Queries: []Query{query}, width: 12, height: 8}
}

// records are log lines.
func records(title, description string, query Query) Panel {
	return Panel{Kind: Logs, Title: title, Description: description, Unit: plain, Queries: []Query{query}, width: gridWidth, height: 12}
}

// traces is a table of traces found.
func traces(title, description string, query Query) Panel {
	query.Unit = plain
	return Panel{Kind: Table, Title: title, Description: description, Unit: plain, Queries: []Query{query}, width: 12, height: 9}
}

// size is in columns (of 24) and rows.
func (p Panel) size(width, height uint32) Panel { p.width, p.height = width, height; return p }

// warn colours values from the first one on orange, from the second on red;
// a single one is red.
func (p Panel) warn(at ...float64) Panel { p.steps = above(at...); return p }

// below is warn for values that should be high, the higher one first.
func (p Panel) below(at ...float64) Panel { p.steps = under(at...); return p }

func (p Panel) stack() Panel                 { p.stacked = true; return p }
func (p Panel) link(links ...link) Panel     { p.links = append(p.links, links...); return p }
func (p Panel) good(empty string) Panel      { p.empty = empty; return p }
func (p Panel) sortBy(column string) Panel   { p.sort = column; return p }
func (p Panel) hide(columns ...string) Panel { p.hidden = append(p.hidden, columns...); return p }

// share is a ratio's axis: from nothing to all.
func (p Panel) share() Panel {
	none, all := 0.0, 1.0
	p.min, p.max = &none, &all
	return p
}

// fromZero keeps small wiggles of a large value small.
func (p Panel) fromZero() Panel {
	zero := 0.0
	p.min = &zero
	return p
}

// unit is the query's own or the panel's.
func (p Panel) unit(query Query) string {
	if query.Unit != "" {
		return query.Unit
	}
	return p.Unit
}

// each says that all queries of the panel need the same.
func (p Panel) each(need Need) Panel {
	p.Queries = needs(need, p.Queries...)
	return p
}

// name makes a stat say its series' name in place of the value.
func (p Panel) name() Panel { p.named = true; return p }

// keep leaves only a table's rows that have a value in the column.
func (p Panel) keep(column string) Panel { p.required = column; return p }
