package statuspage

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

//go:embed web/*.html
var pages embed.FS

//go:embed web/style.css
var style string

//go:embed web/script.js
var script string

//go:embed web/icon.svg
var icon []byte

// contentPolicy lets a browser run this program's own style and script, by
// their digests, and reach nothing but this page.
var contentPolicy = strings.Join([]string{
	"default-src 'none'", "style-src " + digest(style), "script-src " + digest(script), "img-src 'self'",
	"connect-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
}, "; ")

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"style":    func() template.CSS { return template.CSS(style) },
	"script":   func() template.JS { return template.JS(script) },
	"quantity": quantity, "exact": exact, "rate": rate, "bytes": byteSize, "title": title, "count": count, "runbook": webLink,
	"seconds": func(s float64) string { return duration(time.Duration(s * float64(time.Second))) },
	"int":     func(n int64) int { return int(n) },
	"clock":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(pages, "web/*.html"))

// frame is what every page has.
type frame struct {
	Title    string
	Cluster  string
	Replica  string
	Version  string
	Page     string
	CanLeave bool // there is a login, hence a logout
}

func (p *Page) frame(title, page, cluster string) frame {
	return frame{Title: title, Page: page, Cluster: cluster, Replica: p.replica.Name, Version: p.replica.Version, CanLeave: p.config.TokenFile != ""}
}

type loginView struct{ To, Error string }

type tailView struct {
	frame
	Namespace, Pod, Container, Text string
	Severity                        string
	Severities                      []string
}

// shownAgents is how many rows are shown unless all are asked for.
const shownAgents = 100

// overview is the page "/".
type overview struct {
	frame
	Status
	Cluster string // both of the above have it
	Now     time.Time
	// Rows are the agents that match Query, the worst first, and the first
	// shownAgents unless All; Matching is how many rows there would be.
	Query    string
	All      bool
	Rows     []Program
	Without  []Node // without an agent
	Matching int
	Reached  int // replicas that answered
}

// Age is how long ago a time was.
func (o overview) Age(t time.Time) string { return age(o.Now, t) }

// Worst is the level that the page's first line has.
func (o overview) Worst() string {
	if len(o.Problems) > 0 {
		return string(o.Problems[0].Level)
	}
	return "ok"
}

// AllQuery is the address of all rows.
func (o overview) AllQuery() string {
	return "?" + url.Values{"node": {o.Query}, "all": {"1"}}.Encode() + "#agents"
}

// Hidden says whether there are more rows.
func (o overview) Hidden() bool { return o.Matching > len(o.Rows)+len(o.Without) }

// Firing is how many alerts fire.
func (o overview) Firing() int {
	if o.Alerts == nil {
		return 0
	}
	n := 0
	for _, a := range o.Alerts.Active {
		if a.State == "firing" {
			n++
		}
	}
	return n
}

func (p *Page) serveOverview(w http.ResponseWriter, r *http.Request) {
	s := p.status(r.Context())
	o := overview{
		frame: p.frame("Status", "status", s.Cluster), Status: s, Cluster: s.Cluster, Now: time.Now(),
		Query: cut(r.URL.Query().Get("node"), maxNameBytes), All: r.URL.Query().Get("all") != "",
	}
	for _, a := range s.Agents {
		if strings.Contains(a.Name, o.Query) {
			o.Rows = append(o.Rows, a)
		}
	}
	slices.SortStableFunc(o.Rows, func(a, b Program) int { return cmp.Compare(stateRank[a.State], stateRank[b.State]) })
	for _, n := range s.Nodes {
		if !n.Agent && !isVirtual(n.Name) && strings.Contains(n.Name, o.Query) {
			o.Without = append(o.Without, n)
		}
	}
	o.Matching = len(o.Rows) + len(o.Without)
	if !o.All {
		o.Without = o.Without[:min(len(o.Without), shownAgents)]
		o.Rows = o.Rows[:min(len(o.Rows), shownAgents)]
	}
	for _, replica := range s.Replicas {
		if replica.Error == "" {
			o.Reached++
		}
	}
	p.render(w, http.StatusOK, "overview", o)
}

var stateRank = map[State]int{StateSilent: 0, StateLosing: 1, StateBehind: 2, StateQuiet: 3, StateOK: 4}

func (p *Page) serveTailPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	view := tailView{
		frame:     p.frame("Live tail", "tail", p.clusterName()),
		Namespace: q.Get("namespace"), Pod: q.Get("pod"), Container: q.Get("container"), Text: q.Get("text"), Severity: q.Get("severity"),
		Severities: severityNames[1:],
	}
	p.render(w, http.StatusOK, "tail", view)
}

func (p *Page) clusterName() string {
	p.roster.mu.RLock()
	defer p.roster.mu.RUnlock()
	return p.roster.cluster
}

// render sends a page whole, or an error.
func (p *Page) render(w http.ResponseWriter, code int, name string, view any) {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name+".html", view); err != nil {
		p.set.Logger.Error("render status page", zap.String("page", name), zap.Error(err))
		http.Error(w, "the page cannot be rendered; see this program's log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
	w.WriteHeader(code)
	if _, err := page.WriteTo(w); err != nil {
		p.set.Logger.Debug("page was not sent", zap.Error(err))
	}
}

func serveIcon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Write(icon)
}
