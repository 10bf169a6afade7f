package dashboards

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// titlePrefix keeps the dashboards together in lists.
const titlePrefix = "Crowsnest / "

// file is a dashboard as Grafana stores it, with annotations that the SDK's
// type cannot hold.
type file struct {
	dashboard.Dashboard
	Annotations annotationList `json:"annotations"`
}

// JSON is the dashboard as it is imported or provisioned.
func (d Dashboard) JSON() ([]byte, error) {
	b := dashboard.NewDashboardBuilder(titlePrefix+d.Title).Uid(d.UID).Description(d.Question).
		Tags([]string{Tag, "kubernetes"}).Editable().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Time(or(d.from, "now-1h"), "now").Timezone("browser").Refresh(or(d.refresh, "1m")).Links(d.menu())
	for _, variable := range d.Variables {
		b.WithVariable(variable.builder())
	}
	for _, row := range d.Rows {
		b.WithRow(dashboard.NewRowBuilder(row.Title).Id(row.ID).
			GridPos(dashboard.GridPos{X: 0, Y: row.y, W: gridWidth, H: 1}))
		for _, panel := range row.Panels {
			b.WithPanel(built(panel.model()))
		}
	}
	model, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("build dashboard %s: %w", d.UID, err)
	}
	for i := range model.Links {
		model.Links[i].Placement = nil // at the top, not in a menu that few open
	}
	for i := range model.Templating.List {
		// The SDK gives every variable what only those of intervals have.
		v := &model.Templating.List[i]
		v.Auto, v.AutoMin, v.AutoCount = nil, nil, nil
	}
	f := file{Dashboard: model, Annotations: annotationList{List: []annotationModel{builtIn()}}}
	for _, annotation := range d.Annotations {
		f.Annotations.List = append(f.Annotations.List, annotation.model())
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode dashboard %s: %w", d.UID, err)
	}
	return append(text, '\n'), nil
}

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// ready is a panel that is built already.
type ready struct {
	panel dashboard.Panel
	err   error
}

func built(panel dashboard.Panel, err error) ready { return ready{panel, err} }

func (r ready) Build() (dashboard.Panel, error) { return r.panel, r.err }

// model draws the panel: what its kind looks like, then what all have.
func (p Panel) model() (dashboard.Panel, error) {
	model, err := p.draw()
	if err != nil {
		return dashboard.Panel{}, err
	}
	source := reference(p.Queries[0].Source)
	model.Id, model.Title, model.Description = &p.ID, &p.Title, &p.Description
	model.Datasource = &source
	model.GridPos = &dashboard.GridPos{X: p.x, Y: p.y, W: p.width, H: p.height}
	for i, query := range p.Queries {
		target, err := query.target(refID(i), p.Kind)
		if err != nil {
			return dashboard.Panel{}, fmt.Errorf("panel %q: %w", p.Title, err)
		}
		model.Targets = append(model.Targets, target)
	}
	if model.FieldConfig == nil {
		model.FieldConfig = dashboard.NewFieldConfigSource()
	}
	p.settings(&model.FieldConfig.Defaults)
	return model, nil
}

// settings are those of all values in the panel.
func (p Panel) settings(defaults *dashboard.FieldConfig) {
	if p.Unit != "" {
		defaults.Unit = &p.Unit
	}
	defaults.Min, defaults.Max = p.min, p.max
	if p.empty != "" {
		defaults.NoValue = &p.empty
	}
	if p.steps != nil {
		config := p.steps.model()
		defaults.Thresholds = &config
	} else {
		defaults.Thresholds = &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute,
			Steps: []dashboard.Threshold{{Color: "text"}}}
	}
	if p.Kind == Table || p.Kind == Logs || p.Kind == Heatmap {
		return
	}
	for _, link := range p.links {
		url := link.url(ofSeries)
		defaults.Links = append(defaults.Links, dashboard.DashboardLink{Title: link.title,
			Type: dashboard.DashboardLinkTypeLink, Url: &url, Tags: []string{}})
	}
}

// refID is Grafana's name of the nth query: A, B, …
func refID(n int) string { return string(rune('A' + n)) }

// model gives colours from Grafana's palette by name: they suit light and dark.
func (s steps) model() dashboard.ThresholdsConfig {
	colours := []string{"green", "orange", "red"}
	if len(s.values) == 1 {
		colours = []string{"green", "red"}
	}
	values := s.values
	if s.low {
		// From the lowest value up: red, orange, green.
		reversed := make([]string, 0, len(colours))
		ascending := make([]float64, 0, len(values))
		for i := range colours {
			reversed = append(reversed, colours[len(colours)-1-i])
		}
		for i := range values {
			ascending = append(ascending, values[len(values)-1-i])
		}
		colours, values = reversed, ascending
	}
	config := dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute,
		Steps: []dashboard.Threshold{{Color: colours[0]}}}
	for i, value := range values {
		config.Steps = append(config.Steps, dashboard.Threshold{Value: cog.ToPtr(value), Color: colours[i+1]})
	}
	return config
}

func lastValue() *common.ReduceDataOptionsBuilder {
	return common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})
}
