package dashboards

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// imported is what Grafana sees, read by nothing of ours.
type imported struct {
	UID, Title, Description string
	SchemaVersion           int
	Tags                    []string
	Panels                  []importedPanel
	Templating              struct{ List []importedVariable }
	Annotations             struct {
		List []importedAnnotation
	}
	Links []struct {
		Title, URL, Type string
		Tags             []string
	}
}

type importedAnnotation struct {
	Name, Expr, Type string
	Datasource       importedSource
}

type importedSource struct{ Type, UID string }

type importedVariable struct {
	Name, Label, Type string
	Datasource        *importedSource
	Query             any
}

type importedPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               *importedSource
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		RefID, Expr, Service string
		Datasource           *importedSource
	}
	FieldConfig struct {
		Defaults struct {
			Unit  string
			Links []struct{ URL string }
		}
		Overrides []struct {
			Matcher    struct{ ID, Options any }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
}

func importAll(t *testing.T) map[string]imported {
	t.Helper()
	all := map[string]imported{}
	for _, d := range All() {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var model imported
		if err := json.Unmarshal(text, &model); err != nil {
			t.Fatalf("decode %s: %v", d.UID, err)
		}
		all[d.UID] = model
	}
	return all
}

// The SDK's strict decoder knows every field of Grafana's schema; it does not
// know those of Prometheus' annotations and of Jaeger's queries.
func TestSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for _, d := range All() {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := json.Unmarshal(text, &tree); err != nil {
			t.Fatal(err)
		}
		tree["annotations"] = map[string]any{"list": []any{}}
		for _, panel := range tree["panels"].([]any) {
			panel := panel.(map[string]any)
			if source, ok := panel["datasource"].(map[string]any); ok && source["type"] == string(Jaeger) {
				delete(panel, "targets")
			}
		}
		plain, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		var model dashboard.Dashboard
		if err := model.UnmarshalJSONStrict(plain); err != nil {
			t.Errorf("%s: %v", d.UID, err)
		}
		if err := model.Validate(); err != nil {
			t.Errorf("%s: %v", d.UID, err)
		}
	}
}

var panelTypes = []string{"timeseries", "stat", "table", "bargauge", "logs", "heatmap", "row"}

// configMapLimit is the API server's for all data of one ConfigMap.
const configMapLimit = 1 << 20

func TestDashboards(t *testing.T) {
	for _, d := range All() {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > configMapLimit/2 {
			t.Errorf("%s: %d bytes leave no room in a ConfigMap", d.UID, len(text))
		}
		if !regexp.MustCompile(`^crowsnest-[a-z-]{2,30}$`).MatchString(d.UID) {
			t.Errorf("uid %q", d.UID)
		}
	}
	for uid, d := range importAll(t) {
		if d.SchemaVersion < 39 || d.UID != uid || !strings.HasSuffix(d.Description, "?") || !slices.Contains(d.Tags, Tag) {
			t.Errorf("%s: schema version %d, question %q, tags %q", uid, d.SchemaVersion, d.Description, d.Tags)
		}
		ids := map[int]string{}
		for _, p := range d.Panels {
			where := fmt.Sprintf("%s: panel %d %q", uid, p.ID, p.Title)
			if other, taken := ids[p.ID]; taken || p.ID == 0 {
				t.Errorf("%s has the id of %q", where, other)
			}
			ids[p.ID] = p.Title
			if !slices.Contains(panelTypes, p.Type) {
				t.Errorf("%s is of type %s", where, p.Type)
			}
			if p.Title == "" || p.Type == "row" {
				continue
			}
			checkPanel(t, where, p)
		}
		checkGrid(t, uid, d.Panels)
		checkSources(t, uid, d)
	}
}

func checkPanel(t *testing.T, where string, p importedPanel) {
	t.Helper()
	if len(p.Description) < 10 || !strings.HasSuffix(p.Description, ".") && !strings.HasSuffix(p.Description, ")") {
		t.Errorf("%s says not what it shows: %q", where, p.Description)
	}
	if p.FieldConfig.Defaults.Unit == "" && !columnUnits(p) {
		t.Errorf("%s has no unit", where)
	}
	if len(p.Targets) == 0 {
		t.Errorf("%s asks nothing", where)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if refs[target.RefID] {
			t.Errorf("%s: query %s twice", where, target.RefID)
		}
		refs[target.RefID] = true
		if target.Expr == "" && target.Service == "" {
			t.Errorf("%s: query %s is empty", where, target.RefID)
		}
		if strings.Contains(target.Expr, "<") && regexp.MustCompile(`<[a-z]+>`).MatchString(target.Expr) {
			t.Errorf("%s: scope not filled in: %s", where, target.Expr)
		}
	}
}

// columnUnits says whether each query's column has a unit of its own.
func columnUnits(p importedPanel) bool {
	units := 0
	for _, override := range p.FieldConfig.Overrides {
		for _, property := range override.Properties {
			if unit, _ := property.Value.(string); property.ID == "unit" && unit != "" {
				units++
			}
		}
	}
	return units == len(p.Targets)
}

func checkGrid(t *testing.T, uid string, panels []importedPanel) {
	t.Helper()
	cells := map[[2]int]string{}
	for _, p := range panels {
		g := p.GridPos
		if g.W == 0 || g.H == 0 || g.X < 0 || g.X+g.W > gridWidth {
			t.Errorf("%s: panel %q lies at %+v", uid, p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken {
					t.Fatalf("%s: panel %q lies over %q", uid, p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

// checkSources finds data sources that are named and not chosen.
func checkSources(t *testing.T, uid string, d imported) {
	t.Helper()
	variables := map[string]bool{}
	for _, v := range d.Templating.List {
		if v.Type == "datasource" {
			variables["${"+v.Name+"}"] = true
		}
		if v.Label == "" {
			t.Errorf("%s: variable %s has no label", uid, v.Name)
		}
		if v.Type == "query" && (v.Datasource == nil || !variables[v.Datasource.UID]) {
			t.Errorf("%s: variable %s asks %v", uid, v.Name, v.Datasource)
		}
	}
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		if p.Datasource == nil || !variables[p.Datasource.UID] {
			t.Errorf("%s: panel %q asks %v", uid, p.Title, p.Datasource)
		}
		for _, target := range p.Targets {
			if target.Datasource == nil || !variables[target.Datasource.UID] {
				t.Errorf("%s: panel %q, query %s asks %v", uid, p.Title, target.RefID, target.Datasource)
			}
		}
	}
	if !slices.ContainsFunc(d.Annotations.List, func(a importedAnnotation) bool { return a.Name == "Rollouts" }) {
		t.Errorf("%s: rollouts are not marked", uid)
	}
	if !slices.ContainsFunc(d.Annotations.List, func(a importedAnnotation) bool {
		return a.Name == "Warning events" && a.Datasource.Type == string(Loki)
	}) {
		t.Errorf("%s: Warning events are not marked", uid)
	}
	for _, a := range d.Annotations.List {
		if a.Type != "dashboard" && !variables[a.Datasource.UID] {
			t.Errorf("%s: annotation %s asks %v", uid, a.Name, a.Datasource)
		}
	}
}

func TestLinksResolve(t *testing.T) {
	all := importAll(t)
	seen := 0
	for uid, d := range all {
		var addresses []string
		for _, link := range d.Links {
			if link.Type == "link" {
				addresses = append(addresses, link.URL)
			} else if !slices.Equal(link.Tags, []string{Tag}) {
				t.Errorf("%s: menu of tags %q", uid, link.Tags)
			}
		}
		for _, p := range d.Panels {
			addresses = append(addresses, panelAddresses(p)...)
		}
		for _, address := range addresses {
			seen++
			checkAddress(t, uid, address, d, all)
		}
	}
	if seen < 50 {
		t.Errorf("only %d links", seen)
	}
}

func panelAddresses(p importedPanel) []string {
	var addresses []string
	for _, link := range p.FieldConfig.Defaults.Links {
		addresses = append(addresses, link.URL)
	}
	for _, override := range p.FieldConfig.Overrides {
		for _, property := range override.Properties {
			if property.ID != "links" {
				continue
			}
			for _, link := range property.Value.([]any) {
				addresses = append(addresses, link.(map[string]any)["url"].(string))
			}
		}
	}
	return addresses
}

// checkAddress fills Grafana's variables in and reads the address as a browser
// would.
func checkAddress(t *testing.T, uid, address string, d imported, all map[string]imported) {
	t.Helper()
	for _, use := range placeholder.FindAllString(address, -1) {
		name, _, _ := strings.Cut(strings.Trim(use, "${}"), ":")
		if !strings.HasPrefix(name, "__") && !slices.ContainsFunc(d.Templating.List, func(v importedVariable) bool { return v.Name == name }) {
			t.Errorf("%s: link uses %s, which is no variable: %s", uid, use, address)
		}
	}
	filled := placeholder.ReplaceAllString(address, "value")
	u, err := url.Parse(filled)
	if err != nil {
		t.Errorf("%s: %v", uid, err)
		return
	}
	if u.Path == "/explore" {
		var panes map[string]struct {
			Datasource string
			Queries    []map[string]any
		}
		if err := json.Unmarshal([]byte(u.Query().Get("panes")), &panes); err != nil || len(panes) != 1 {
			t.Errorf("%s: Explore: %v in %s", uid, err, address)
		}
		return
	}
	target, there := all[strings.TrimPrefix(u.Path, "/d/")]
	if !there {
		t.Errorf("%s: link to %s, which is not there", uid, u.Path)
	}
	for name := range u.Query() {
		if variable, is := strings.CutPrefix(name, "var-"); is &&
			!slices.ContainsFunc(target.Templating.List, func(v importedVariable) bool { return v.Name == variable }) {
			t.Errorf("%s: link sets %s, which %s does not have", uid, variable, target.UID)
		}
	}
}
