package dashboards

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
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
