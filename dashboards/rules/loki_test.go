package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// TestLokiEvaluatesItsAlerts asks a real Loki for the alerts' expressions, which
// promtool cannot: lines for which they fire, and lines for which they do not.
func TestLokiEvaluatesItsAlerts(t *testing.T) {
	loki := stores.TestLoki(t, stores.Options{})
	now := time.Now()
	var old []time.Time
	for ago := 64 * time.Minute; ago > 0; ago -= 2 * time.Second {
		old = append(old, now.Add(-ago))
	}
	recent := old[len(old)-100:]
	labels := func(service string) map[string]string {
		return map[string]string{"cluster": "c1", "namespace": "shop", "service_name": service, "pod": service + "-0", "container": "app"}
	}
	push(t, loki.URL, labels("broken"), old[:len(old)-100], "level=info msg=fine")
	push(t, loki.URL, labels("broken"), recent, "level=error msg=broken")
	push(t, loki.URL, labels("new"), recent, "level=error msg=broken")
	push(t, loki.URL, labels("always"), old, "level=error msg=broken")
	push(t, loki.URL, labels("few"), recent[:20], "level=error msg=broken")
	push(t, loki.URL, labels("busy"), recent, "level=info msg=fine")
	push(t, loki.URL, labels("crashed"), recent[:2], "panic: runtime error: index out of range")
	push(t, loki.URL, labels("told"), recent[:2], "there was no panic: all is well")

	byName := map[string]Alert{}
	for _, a := range logs() {
		byName[a.Name] = a
	}
	for name, want := range map[string][]map[string]string{
		"LogErrorSpike": {{"cluster": "c1", "namespace": "shop", "service_name": "broken"}},
		"LogStackTrace": {{"cluster": "c1", "namespace": "shop", "pod": "crashed-0", "container": "app"}},
	} {
		a := byName[name]
		if diff := cmp.Diff(want, ask(t, loki.URL, a.filled("").Expr, now)); diff != "" {
			t.Errorf("%s fires for (-want +got):\n%s", name, diff)
		}
		if got := ask(t, loki.URL, a.filled(`,namespace!~"shop"`).Expr, now); len(got) != 0 {
			t.Errorf("%s fires for a namespace that is left out: %v", name, got)
		}
	}
	if len(byName) != 2 {
		t.Errorf("%d alerts for Loki, 2 are tested", len(byName))
	}
	parseRunbooks(t, loki.URL)
}

// parseRunbooks has Loki read the LogQL of all runbooks.
func parseRunbooks(t *testing.T, base string) {
	t.Helper()
	read := 0
	for _, a := range allAlerts() {
		page, err := os.ReadFile(filepath.Join(runbooks, a.Name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range blocks(string(page), "logql") {
			read++
			if body, status := get(t, base+"/loki/api/v1/format_query?query="+url.QueryEscape(query)); status != http.StatusOK {
				t.Errorf("%s: %s: %d %s", a.Name, query, status, body)
			}
		}
	}
	if read == 0 {
		t.Error("no runbook has LogQL")
	}
}

func push(t *testing.T, base string, labels map[string]string, times []time.Time, line string) {
	t.Helper()
	var entries [][2]string
	for i, at := range times {
		entries = append(entries, [2]string{strconv.FormatInt(at.UnixNano(), 10), fmt.Sprintf("%s n=%d", line, i)})
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": entries}}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(base+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("push to Loki: %s: %s", resp.Status, text)
	}
}

// ask gives the labels of what an instant query returns.
func ask(t *testing.T, base, query string, at time.Time) []map[string]string {
	t.Helper()
	body, status := get(t, fmt.Sprintf("%s/loki/api/v1/query?query=%s&time=%d", base, url.QueryEscape(query), at.UnixNano()))
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := json.Unmarshal(body, &answer); status != http.StatusOK || err != nil {
		t.Fatalf("ask Loki: %d %s (%v)", status, body, err)
	}
	var all []map[string]string
	for _, r := range answer.Data.Result {
		all = append(all, r.Metric)
	}
	return all
}

func get(t *testing.T, u string) (body []byte, status int) {
	t.Helper()
	resp, err := http.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body, resp.StatusCode
}
