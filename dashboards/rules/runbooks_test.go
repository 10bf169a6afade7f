package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const runbooks = "../runbooks"

var codeBlock = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// blocks are a page's blocks of a language.
func blocks(page, language string) []string {
	var all []string
	for _, b := range codeBlock.FindAllStringSubmatch(page, -1) {
		if b[1] == language {
			all = append(all, strings.TrimSpace(b[2]))
		}
	}
	return all
}

func TestEveryAlertHasARunbook(t *testing.T) {
	pages := map[string]bool{"README": true}
	for _, a := range allAlerts() {
		if pages[a.Name] {
			continue
		}
		pages[a.Name] = true
		b, err := os.ReadFile(filepath.Join(runbooks, a.Name+".md"))
		if err != nil {
			t.Errorf("%s has no runbook: %v", a.Name, err)
			continue
		}
		checkRunbook(t, a, string(b))
	}
	files, err := filepath.Glob(runbooks + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); !pages[name] {
			t.Errorf("%s is of no alert", file)
		}
	}
}

func checkRunbook(t *testing.T, a Alert, page string) {
	t.Helper()
	var headings []string
	for _, h := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(page, -1) {
		headings = append(headings, h[1])
	}
	if want := []string{"Meaning", "Impact", "Diagnosis", "Mitigation"}; !slices.Equal(headings, want) {
		t.Errorf("%s has headings %q, want %q", a.Name, headings, want)
	}
	if !strings.HasPrefix(page, "# "+a.Name+"\n") {
		t.Errorf("%s: its page has another title", a.Name)
	}
	queries := blocks(page, "promql")
	for _, query := range queries {
		if _, err := promql3.ParseExpr(query); err != nil {
			t.Errorf("%s: parse %q: %v", a.Name, query, err)
		}
	}
	if len(queries)+len(blocks(page, "logql")) == 0 {
		t.Errorf("%s: no query to diagnose it by", a.Name)
	}
	for _, b := range codeBlock.FindAllStringSubmatch(page, -1) {
		if !slices.Contains([]string{"promql", "logql", "sh"}, b[1]) {
			t.Errorf("%s: a block of language %q is checked by nobody", a.Name, b[1])
		}
	}
	for _, link := range regexp.MustCompile(`\bsee ((?:[A-Z]|etcd)\w+(?:, (?:[A-Z]|etcd)\w+)*)`).FindAllStringSubmatch(page, -1) {
		for _, name := range strings.Split(link[1], ", ") {
			if !slices.ContainsFunc(allAlerts(), func(a Alert) bool { return a.Name == name }) {
				t.Errorf("%s: leads to %s, which is no alert", a.Name, name)
			}
		}
	}
}
