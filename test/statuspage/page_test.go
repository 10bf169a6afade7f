package statuspage

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/system"
)

var update = flag.Bool("update", false, "take the pictures in docs/images anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a-token-for-the-status-page"

// hostile is a line that does something in a page that takes it for markup.
const hostile = `<img src=x onerror="window.taken=1"><script>window.taken=2</script>{{.}}"'&</li></ol>`

func start(t *testing.T) *system.System {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := system.Start(t.Context(), system.Options{
		MetricsInterval: 3 * time.Second,
		AggregatorEnv:   []string{"CROWSNEST_STATUS_TOKEN_FILE=" + file, "CROWSNEST_METRICS_INTERVAL=3s"},
		Node:            nodesim.Config{LinesPerSecond: 100, TracesPerSecond: 3, Seed: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// One start of everything serves all that is seen in a browser.
func TestPageInABrowser(t *testing.T) {
	s := start(t)
	b := openBrowser(t, "http://"+s.Aggregator.Status)
	b.theme(1280, 900, "light")
	logIn(t, b)
	seeOverview(t, b)
	seeOverviewWithoutScript(t, b)
	seeTail(t, b)
	seeHostileLine(t, b, s)
	if *update {
		takePictures(t, b)
	}
	seeDeadStore(t, b, s)
	askWithToken(t, s)
	// A wrong token's answer is an error to a browser's mind.
	b.checkRequests("401")
}

func logIn(t *testing.T, b *browser) {
	b.open("/tail?namespace=shop")
	b.await("login form", `document.querySelector("input[name=token]")`)
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=token]"), "some other token, wrong\r"))
	b.await("refusal", `document.querySelector("[role=alert]")?.textContent.includes("not the token")`)
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=token]"), token+"\r"))
	b.await("the page that was asked for", `location.pathname + location.search === "/tail?namespace=shop"`)
	if cookies := b.text(`document.cookie`); cookies != "" {
		t.Errorf("scripts can read the cookie: %q", cookies)
	}
}

const rows = `[...document.querySelectorAll("section[aria-labelledby=%s] tbody tr")].map(r => [...r.children].map(c => c.innerText))`

func table(name string) string { return fmt.Sprintf(rows, name) }

func seeOverview(t *testing.T, b *browser) {
	b.open("/")
	// The page renews itself; nobody reloads it here.
	b.await("the agent", table("agents")+`.some(r => r[0] === "lab-1" && /ok|losing/.test(r[1]) && r[2] !== "" && parseFloat(r[4]) > 1 && parseFloat(r[5]) > 1 && parseFloat(r[6]) > 0)`)
	b.await("the aggregator", table("aggregators")+`.some(r => r[0] === "aggregator-0" && /ok|losing/.test(r[1]))`)
	b.await("the ledger", table("ledger")+`.filter(r => Number(r[2].replaceAll(",", "")) > 0 && /even|moving/.test(r[7])).length === 6`)
	for store, unit := range map[string]string{"Loki": "lines", "Prometheus": "points", "Jaeger": "spans"} {
		b.await(store, card(store)+`?.innerText.match(/ok[^]*[1-9][0-9.]* `+unit+`/)`)
	}
	// A machine under load may make Prometheus refuse samples; then the page is to say so.
	b.await("verdict", `document.querySelector(".verdict h2").innerText === "All is well" || [...document.querySelectorAll(".verdict li")].every(l => l.innerText.includes(" dropped "))`)
	b.await("Prometheus' alerts", `document.querySelector("section[aria-labelledby=alerts]").innerText.includes("None.")`)
}

func card(store string) string {
	return `[...document.querySelectorAll(".store")].find(c => c.querySelector("h3").innerText.startsWith("` + store + `"))`
}

func seeOverviewWithoutScript(t *testing.T, b *browser) {
	b.scripts(false)
	b.open("/")
	b.await("the agent, without script", table("agents")+`.some(r => r[0] === "lab-1")`)
	b.await("renewal, without script", `document.querySelector("noscript meta[http-equiv=refresh]")`)
	b.scripts(true)
}

const lines = `[...document.querySelectorAll("#lines li:not(.lost)")]`

func seeTail(t *testing.T, b *browser) {
	b.open("/tail")
	b.await("lines", lines+`.length > 20`)
	b.await("several namespaces", `new Set(`+lines+`.map(l => l.querySelector("a").title)).size > 1`)
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=namespace]"), "shop"))
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=text]"), "request done"))
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("select[name=severity]").value = "error"`))
	b.do(chromedp.Click(chromedp.CSS("form.filter button")))
	b.await("the filter in the address", `location.search.includes("namespace=shop") && location.search.includes("severity=error")`)
	b.await("filtered lines", lines+`.length > 3`)
	if other := evaluate[[]string](b, lines+`.filter(l => !l.querySelector("a").title.endsWith(" shop") || l.querySelector(".level").innerText !== "error").map(l => l.innerText)`); len(other) > 0 {
		t.Errorf("the filter lets pass %q", other)
	}
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	before := evaluate[int](b, lines+`.length`)
	b.await("lines held back", `document.getElementById("counts").innerText.includes("held back")`)
	if after := evaluate[int](b, lines+`.length`); after != before {
		t.Errorf("%d lines were added while paused", after-before)
	}
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.await("lines that were held back", lines+fmt.Sprintf(`.length > %d`, before))
}

// seeHostileLine has a pod write markup, which is to be seen as it was written.
func seeHostileLine(t *testing.T, b *browser, s *system.System) {
	b.open("/tail?namespace=evil")
	b.await("connection", `document.getElementById("connection").innerText.includes("connected")`)
	folder := filepath.Join(s.Node.PodsDir, "evil_mallory_6a1f7e0c-6d0b-4f0e-8e0e-000000000001", "c")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	line := time.Now().UTC().Format(time.RFC3339Nano) + " stdout F " + hostile + "\n"
	if err := os.WriteFile(filepath.Join(folder, "0.log"), []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	b.await("the hostile line", lines+`.length > 0`)
	if got := b.text(lines + `[0].querySelector(".body").textContent`); got != hostile {
		t.Errorf("the line is shown as %q, was written as %q", got, hostile)
	}
	if evaluate[bool](b, `"taken" in window || document.querySelector("#lines img, #lines script") !== null`) {
		t.Error("a log line became part of the page")
	}
	// The same by the address.
	b.open(`/tail?text=%22%3E%3Cscript%3Ewindow.taken=3%3C/script%3E`)
	b.await("the filter as it was given", `document.querySelector("input[name=text]").value === '"><script>window.taken=3</scr' + 'ipt>'`)
	if evaluate[bool](b, `"taken" in window`) {
		t.Error("the address became part of the page")
	}
}

func seeDeadStore(t *testing.T, b *browser, s *system.System) {
	b.open("/")
	if err := s.Loki.Kill(); err != nil {
		t.Fatal(err)
	}
	b.await("Loki waits or fails", card("Loki")+`?.innerText.includes("failing") && document.querySelector(".verdict.failure li a")?.href.endsWith("/runbooks/CrowsnestStoreUnavailable.md")`)
	b.await("Loki's failure", card("Loki")+`?.querySelector("details .failure")?.textContent.match(/connection refused/)`)
	if *update {
		b.theme(1280, 900, "dark")
		b.picture(image("status-failing.png"))
		b.theme(1280, 900, "light")
	}
	if err := s.Loki.Restart(); err != nil {
		t.Fatal(err)
	}
	b.await("Loki is back", card("Loki")+`?.querySelector(".state").innerText.includes("ok")`)
}

// askWithToken asks as a program does.
func askWithToken(t *testing.T, s *system.System) {
	ask := func(bearer string) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Aggregator.Status+"/api/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, text
	}
	for _, bearer := range []string{"", "wrong", token + "x"} {
		if code, _ := ask(bearer); code != http.StatusUnauthorized {
			t.Errorf("with token %q the answer is %d", bearer, code)
		}
	}
	code, body := ask(token)
	var status struct {
		Cluster string
		Agents  []struct{ Name, State string }
	}
	if err := json.Unmarshal(body, &status); code != http.StatusOK || err != nil || status.Cluster != system.Cluster || len(status.Agents) == 0 {
		t.Errorf("status is %d (%v): %.300s", code, err, body)
	}
}

func image(name string) string { return filepath.Join("..", "..", "docs", "images", name) }

func takePictures(t *testing.T, b *browser) {
	for _, p := range []struct {
		name, path    string
		width, height int64
		scheme        string
		ready         string
	}{
		{"status-light.png", "/", 1280, 900, "light", table("agents") + `.length > 0`},
		{"status-dark.png", "/", 1280, 900, "dark", table("agents") + `.length > 0`},
		{"status-narrow.png", "/", 390, 844, "light", table("agents") + `.length > 0`},
		{"tail-light.png", "/tail?namespace=shop", 1280, 720, "light", lines + `.length > 60`},
		{"tail-dark.png", "/tail", 1280, 720, "dark", lines + `.length > 60`},
		{"tail-narrow.png", "/tail?severity=warn", 390, 844, "dark", lines + `.length > 12`},
	} {
		b.theme(p.width, p.height, p.scheme)
		b.open(p.path)
		b.await(p.name, p.ready)
		b.picture(image(p.name))
	}
	b.theme(1280, 900, "light")
}
