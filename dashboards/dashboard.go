package dashboards

import (
	"fmt"
	"slices"
)

// Dashboard answers one question.
type Dashboard struct {
	UID      string
	Title    string // without the common prefix
	Question string
	Rows     []Row

	Variables   []Variable
	Annotations []Annotation

	from    string // begin of the time range that it opens with
	refresh string // interval; empty for one minute
}

// Row is a heading with the panels below it.
type Row struct {
	ID     uint32
	Title  string
	Panels []Panel

	y uint32
}

// Panels are those of all rows in order.
func (d Dashboard) Panels() []Panel {
	var panels []Panel
	for _, row := range d.Rows {
		panels = append(panels, row.Panels...)
	}
	return panels
}

// All returns every dashboard, panels numbered and placed.
func All() []Dashboard {
	all := []Dashboard{
		cluster(), problems(), nodes(), node(), namespaces(), workloads(), pod(),
		logs(), services(), events(), capacity(), autoscaling(), scheduling(), storage(),
		network(), controlPlane(), self(),
	}
	for i := range all {
		all[i].place()
		all[i].Annotations = append(all[i].Annotations, all[i].warnings())
		all[i].choose()
	}
	return all
}

// Find returns the dashboard with the uid.
func Find(uid string) (Dashboard, error) {
	all := All()
	i := slices.IndexFunc(all, func(d Dashboard) bool { return d.UID == uid })
	if i < 0 {
		return Dashboard{}, fmt.Errorf("find dashboard: no %q", uid)
	}
	return all[i], nil
}

// gridWidth is Grafana's, in columns.
const gridWidth = 24

// place numbers rows and panels and lays the panels out from left to right,
// a new line where the next one does not fit.
func (d *Dashboard) place() {
	var id, y uint32
	for r := range d.Rows {
		row := &d.Rows[r]
		id++
		row.ID = id
		row.y = y
		y++
		var x, tallest uint32
		for p := range row.Panels {
			panel := &row.Panels[p]
			if x+panel.width > gridWidth {
				x, y, tallest = 0, y+tallest, 0
			}
			id++
			panel.ID = id
			panel.x, panel.y = x, y
			x += panel.width
			tallest = max(tallest, panel.height)
		}
		y += tallest
	}
}

// choose adds the variables that choose data sources, for those in use only.
func (d *Dashboard) choose() {
	sources := []Variable{sourceVariable(Prometheus)}
	for _, source := range []Source{Loki, Jaeger} {
		if d.uses(source) {
			sources = append(sources, sourceVariable(source))
		}
	}
	d.Variables = append(sources, d.Variables...)
}

// chooses tells whether the dashboard has the variable.
func (d *Dashboard) chooses(v Variable) bool {
	return slices.ContainsFunc(d.Variables, func(of Variable) bool { return of.Name == v.Name && of.all == v.all })
}

func (d *Dashboard) uses(source Source) bool {
	if slices.ContainsFunc(d.Annotations, func(a Annotation) bool { return a.Source == source }) {
		return true
	}
	for _, panel := range d.Panels() {
		for _, query := range panel.Queries {
			if query.Source == source {
				return true
			}
		}
		for _, link := range panel.links {
			if link.source == source {
				return true
			}
		}
	}
	return false
}
