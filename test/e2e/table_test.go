package e2e

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:embed testdata/families.txt
var familiesText []byte

// table is where people read what the tests look for.
const table = "../../docs/metrics.md"

// family is a line of testdata/families.txt.
type family struct {
	job, path      string // labels job and metrics_path; "" any
	name, matchers string
	kind           string
	labels         []string
	lack           string // key of lacks
}

// selector of the family's series; more are further matchers.
func (f family) selector(more ...string) string {
	matchers := slices.Clone(more)
	for _, m := range []struct{ label, value string }{{"job", f.job}, {"metrics_path", f.path}} {
		if m.value != "" {
			matchers = append(matchers, fmt.Sprintf("%s=%q", m.label, m.value))
		}
	}
	if f.matchers != "" {
		matchers = append(matchers, f.matchers)
	}
	return f.name + "{" + strings.Join(matchers, ",") + "}"
}

// parseFamilies names the line that it does not understand.
func parseFamilies(text []byte) (all []family, err error) {
	var job, path string
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if heading, ok := strings.CutPrefix(line, "["); ok {
			job, path, _ = strings.Cut(strings.Trim(heading, "]"), " ")
			job = strings.TrimPrefix(job, "-")
			continue
		}
		f := family{job: job, path: path}
		var rest string
		if at := strings.Index(line, "} "); at > 0 && strings.Contains(line[:at], "{") {
			f.name, f.matchers, _ = strings.Cut(line[:at], "{")
			rest = line[at+1:]
		} else {
			f.name, rest, _ = strings.Cut(line, " ")
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 || len(fields) > 3 {
			return nil, fmt.Errorf("line %d: %q is not family{matchers} type labels ?lack", number, line)
		}
		f.kind = fields[0]
		if fields[1] != "-" {
			f.labels = strings.Split(fields[1], ",")
		}
		if len(fields) == 3 {
			f.lack = strings.TrimPrefix(fields[2], "?")
		}
		all = append(all, f)
	}
	return all, nil
}

const preface = `# Metrics

The families that the dashboards and alerts of kubernetes-mixin, node-mixin and
kube-prometheus read, and those of well-known dashboards beyond them, as a
Prometheus has them that Crowsnest fills. All bear ` + "`job`, `instance` and `cluster`" + `,
besides the labels listed. The end-to-end tests look for each in a real cluster of
one node, in remote write and on the page to scrape, and write this table:

    go test -tags e2e ./test/e2e -update

The last column is what that cluster, on that machine, has; "absent" is checked,
too: where the reason does not hold, the family must be there.

Left out on purpose are the labels namespace and pod of node_cpu_seconds_total and
node_network_up, which would be those of the agent's pod: with them every restart
of an agent would begin all series of its node anew.

A series ends (Prometheus' staleness) with the first scrape that lacks it. If its
agent was away then, the aggregator ends it when the agent's next page lacks it.
Where that is not possible Prometheus shows it for five minutes after its last
sample, as after a restart of its own: ` + "`kube_*`" + ` of a pod that was deleted while its
node's agent was away, since agents and the leader tell of the same job and
instance together; a deleted pod's own page, which does not come again; and all
series if agent and aggregator were away together, as nobody then knows what there
was.

| job | metrics_path | family | type | labels | there |
|---|---|---|---|---|---|
`

// render writes the table; there is the last column.
func render(all []family, there func(family) string) []byte {
	var b bytes.Buffer
	b.WriteString(preface)
	for _, f := range all {
		name := f.name
		if f.matchers != "" {
			name += "{" + strings.ReplaceAll(f.matchers, "|", `\|`) + "}"
		}
		labels := make([]string, len(f.labels))
		for i, l := range f.labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s | %s |\n", f.job, f.path, name, f.kind, strings.Join(labels, ", "), there(f))
	}
	return b.Bytes()
}

// withoutLast takes away the last column, which depends on the machine.
func withoutLast(table []byte) (lines []string) {
	for line := range strings.Lines(string(table)) {
		line = strings.TrimSuffix(strings.TrimSpace(line), "|")
		if strings.HasPrefix(line, "|") {
			line = line[:strings.LastIndex(line, "|")]
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTableIsCurrent(t *testing.T) {
	all, err := parseFamilies(familiesText)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.FromSlash(table))
	if err != nil {
		t.Fatal(err)
	}
	want := render(all, func(family) string { return "" })
	if diff := cmp.Diff(withoutLast(want), withoutLast(got)); diff != "" {
		t.Errorf("docs/metrics.md is not that of testdata/families.txt: go test -tags e2e ./test/e2e -update (-want +got):\n%s", diff)
	}
}
