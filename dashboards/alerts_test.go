package dashboards

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var alertLink = regexp.MustCompile(`/d/(crowsnest-[a-z-]+)(\?[^\s'"]*)?`)
var alertVariable = regexp.MustCompile(`var-(\w+)=`)

// Somebody who is woken opens the dashboard that the alert names.
func TestAlertsLeadToDashboards(t *testing.T) {
	all := importAll(t)
	files, err := filepath.Glob("rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			for _, link := range alertLink.FindAllStringSubmatch(line, -1) {
				d, there := all[link[1]]
				if !there {
					t.Errorf("%s: an alert leads to %s, which is not there", file, link[1])
					continue
				}
				for _, variable := range alertVariable.FindAllStringSubmatch(line, -1) {
					if !slices.ContainsFunc(d.Templating.List, func(v importedVariable) bool { return v.Name == variable[1] }) {
						t.Errorf("%s: an alert sets %s, which %s does not have", file, variable[1], link[1])
					}
				}
			}
		}
	}
}
