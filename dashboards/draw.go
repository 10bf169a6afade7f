package dashboards

import (
	"fmt"
	"maps"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	sdklogs "github.com/grafana/grafana-foundation-sdk/go/logs"
	sdkstat "github.com/grafana/grafana-foundation-sdk/go/stat"
	sdktable "github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// draw makes what is particular to the kind.
func (p Panel) draw() (dashboard.Panel, error) {
	switch p.Kind {
	case TimeSeries:
		return p.timeseries().Build()
	case Stat:
		mode := common.BigValueTextModeValue
		if p.named {
			mode = common.BigValueTextModeName
		}
		return sdkstat.NewPanelBuilder().ReduceOptions(lastValue()).GraphMode(common.BigValueGraphModeNone).
			ColorMode(common.BigValueColorModeValue).TextMode(mode).
			JustifyMode(common.BigValueJustifyModeCenter).Orientation(common.VizOrientationAuto).ColorScheme(byThreshold()).Build()
	case BarGauge:
		return bargauge.NewPanelBuilder().ReduceOptions(lastValue()).DisplayMode(common.BarGaugeDisplayModeBasic).
			Orientation(common.VizOrientationHorizontal).ValueMode(common.BarGaugeValueModeText).ColorScheme(p.barColour()).Build()
	case Table:
		return p.table()
	case Heatmap:
		return heatmap.NewPanelBuilder().Calculate(false).ShowLegend().
			YAxis(heatmap.NewYAxisConfigBuilder().Unit(p.Unit)).
			Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Blues").Steps(64)).
			Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle).YHistogram(true)).Build()
	case Logs:
		return sdklogs.NewPanelBuilder().ShowTime(true).WrapLogMessage(true).EnableLogDetails(true).
			SortOrder(common.LogsSortOrderDescending).DedupStrategy(common.LogsDedupStrategyNone).Build()
	}
	return dashboard.Panel{}, fmt.Errorf("draw panel %q: no such kind: %q", p.Title, p.Kind)
}

func byThreshold() *dashboard.FieldColorBuilder {
	return dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)
}

func (p Panel) barColour() *dashboard.FieldColorBuilder {
	if p.steps != nil {
		return byThreshold()
	}
	return dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdFixed).FixedColor("blue")
}

func (p Panel) timeseries() *timeseries.PanelBuilder {
	b := timeseries.NewPanelBuilder().
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).
			Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{"lastNotNull", "max"}).
			SortBy("Max").SortDesc(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassic)).
		DrawStyle(common.GraphDrawStyleLine).LineWidth(1).FillOpacity(10).ShowPoints(common.VisibilityModeNever)
	if p.bars {
		b.DrawStyle(common.GraphDrawStyleBars).FillOpacity(80).Interval(countInterval)
	}
	if p.stacked {
		b.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
		if !p.bars {
			b.FillOpacity(30)
		}
	}
	if p.steps != nil {
		b.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	for i, query := range p.Queries {
		if properties := p.override(query); len(properties) > 0 {
			b.OverrideByQuery(refID(i), properties)
		}
	}
	return b
}

// countInterval is the shortest that counts are taken over: two scrapes must
// fall into it.
const countInterval = "2m"

// override sets apart the series of one query.
func (p Panel) override(query Query) []dashboard.DynamicConfigValue {
	var properties []dashboard.DynamicConfigValue
	if query.Unit != "" && query.Unit != p.Unit {
		properties = append(properties, dashboard.DynamicConfigValue{Id: "unit", Value: query.Unit})
	}
	if query.dashed {
		properties = append(properties,
			dashboard.DynamicConfigValue{Id: "custom.lineStyle", Value: map[string]any{"fill": "dash", "dash": []int{8, 6}}},
			dashboard.DynamicConfigValue{Id: "custom.fillOpacity", Value: 0},
			dashboard.DynamicConfigValue{Id: "custom.stacking", Value: map[string]any{"mode": "none", "group": "A"}})
	}
	return properties
}

// table joins the queries' results to one row per object, names their columns
// and hangs links onto the columns that the links are about.
func (p Panel) table() (dashboard.Panel, error) {
	b := sdktable.NewPanelBuilder().CellHeight(common.TableCellHeightSm).Filterable(true).ShowHeader(true).
		ColorScheme(byThreshold())
	if p.Queries[0].Source == Prometheus {
		names, excluded := map[string]string{}, map[string]bool{"Time": true}
		for i, query := range p.Queries {
			column := "Value #" + refID(i)
			if len(p.Queries) == 1 {
				column = "Value"
			}
			names[column] = query.Legend
			b.OverrideByName(query.Legend, p.column(query))
		}
		for _, column := range p.hidden {
			excluded[column] = true
		}
		b.WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}})
		b.WithTransformation(dashboard.DataTransformerConfig{Id: "organize",
			Options: map[string]any{"excludeByName": excluded, "renameByName": names, "indexByName": map[string]int{}}})
		if p.required != "" {
			b.WithTransformation(dashboard.DataTransformerConfig{Id: "filterByValue", Options: map[string]any{
				"type": "include", "match": "all", "filters": []any{map[string]any{
					"fieldName": p.required, "config": map[string]any{"id": "isNotNull", "options": map[string]any{}}}}}})
		}
	}
	if p.sort != "" {
		b.SortBy(sortedBy(p.sort))
	}
	links := p.columnLinks()
	for _, column := range slices.Sorted(maps.Keys(links)) {
		b.OverrideByName(column, []dashboard.DynamicConfigValue{{Id: "links", Value: links[column]}})
	}
	model, err := b.Build()
	if options, ok := model.Options.(*sdktable.Options); ok {
		options.Footer = nil // no longer in Grafana's schema since 12.4
	}
	return model, err
}

func (p Panel) column(query Query) []dashboard.DynamicConfigValue {
	properties := []dashboard.DynamicConfigValue{{Id: "unit", Value: p.unit(query)}}
	if query.steps != nil {
		properties = append(properties,
			dashboard.DynamicConfigValue{Id: "thresholds", Value: query.steps.model()},
			dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: map[string]string{"type": "color-text"}})
	}
	return properties
}

// columnLinks are by the column of the last label that a link reads: the name
// of the object that it leads to.
func (p Panel) columnLinks() map[string][]dataLink {
	links := map[string][]dataLink{}
	for _, link := range p.links {
		labels := link.labels()
		column := labels[len(labels)-1]
		links[column] = append(links[column], dataLink{Title: link.title, URL: link.url(ofRow)})
	}
	return links
}

func sortedBy(column string) []cog.Builder[common.TableSortByFieldState] {
	return []cog.Builder[common.TableSortByFieldState]{common.NewTableSortByFieldStateBuilder().DisplayName(column).Desc(true)}
}
