package dashboards

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the JSON again")

// rendered are the folders that hold every dashboard's JSON.
var rendered = []string{"json", "../deploy/helm/crowsnest/files/dashboards"}

func TestJSONIsCurrent(t *testing.T) {
	for _, folder := range rendered {
		want := map[string][]byte{}
		for _, d := range All() {
			text, err := d.JSON()
			if err != nil {
				t.Fatal(err)
			}
			want[filepath.Join(folder, d.UID+".json")] = text
		}
		if *update {
			write(t, folder, want)
		}
		files, err := filepath.Glob(filepath.Join(folder, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for path, text := range want {
			if got, err := os.ReadFile(path); err != nil || string(got) != string(text) {
				t.Errorf("%s is not what the code says; run go test ./dashboards -update (%v)", path, err)
			}
		}
		for _, path := range files {
			if _, ok := want[path]; !ok {
				t.Errorf("%s belongs to no dashboard", path)
			}
		}
	}
}

// readmeTable is the README's list of dashboards.
func readmeTable() string {
	var rows strings.Builder
	rows.WriteString("\n| Dashboard | Question |\n|---|---|\n")
	for _, d := range All() {
		fmt.Fprintf(&rows, "| [%s](json/%s.json) | %s |\n", d.Title, d.UID, d.Question)
	}
	rows.WriteString("\n")
	return rows.String()
}

func TestREADMEIsCurrent(t *testing.T) {
	const begin, end = "<!-- dashboards -->\n", "<!-- end -->\n"
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), begin)
	table, tail, found := strings.Cut(rest, end)
	if !found {
		t.Fatal("README.md has no place for the list")
	}
	if *update {
		table = readmeTable()
		if err := os.WriteFile("README.md", []byte(head+begin+table+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if table != readmeTable() {
		t.Error("README.md lists other dashboards; run go test ./dashboards -update")
	}
}

func write(t *testing.T, folder string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if _, ok := files[path]; !ok {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryDashboardIsFoundByItsUID(t *testing.T) {
	var uids []string
	for _, d := range All() {
		found, err := Find(d.UID)
		if err != nil || found.Title != d.Title {
			t.Errorf("find %s: %q, %v", d.UID, found.Title, err)
		}
		uids = append(uids, d.UID)
	}
	slices.Sort(uids)
	if unique := slices.Compact(slices.Clone(uids)); len(unique) != len(uids) {
		t.Errorf("uids repeat: %q", uids)
	}
	if _, err := Find("crowsnest-none"); err == nil {
		t.Error("found a dashboard that is not there")
	}
}
