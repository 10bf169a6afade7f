package statuspage

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/plog"
)

// watcher reads the events of a tail.
type watcher struct {
	t       *testing.T
	resp    *http.Response
	scanner *bufio.Scanner
}

func watch(t *testing.T, p *person, query string) *watcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/api/v1/tail?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("tail is %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	w := &watcher{t, resp, bufio.NewScanner(resp.Body)}
	w.scanner.Buffer(nil, 4<<20)
	if event, _ := w.next(); event != "state" {
		t.Fatalf("the first event is %q", event)
	}
	return w
}

// next is the next event and its data.
func (w *watcher) next() (event, data string) {
	w.t.Helper()
	for w.scanner.Scan() {
		switch text := w.scanner.Text(); {
		case strings.HasPrefix(text, "event: "):
			event = text[len("event: "):]
		case strings.HasPrefix(text, "data: "):
			data = text[len("data: "):]
		case text == "":
			return event, data
		default:
			w.t.Fatalf("unexpected in the stream: %q", text)
		}
	}
	w.t.Fatalf("the stream ended: %v", w.scanner.Err())
	return
}

// lines reads until there are n of them.
func (w *watcher) lines(n int) []line {
	w.t.Helper()
	var all []line
	for len(all) < n {
		event, data := w.next()
		if event != "lines" {
			continue
		}
		var batch []line
		if err := json.Unmarshal([]byte(data), &batch); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, batch...)
	}
	return all
}

func write(t *testing.T, s taps, namespace, pod, container, body string) {
	t.Helper()
	if err := s.logs.ConsumeLogs(context.Background(), record(namespace, pod, container, body)); err != nil {
		t.Fatal(err)
	}
}

func TestTailFilters(t *testing.T) {
	page, address := startPage(t, nil)
	taps, p := startTaps(t, page), newPerson(t, address)
	for query, want := range map[string]string{
		"":                                "abcde",
		"namespace=shop":                  "abd",
		"namespace=shop&pod=front":        "ab",
		"container=init":                  "b",
		"severity=error":                  "ad",
		"severity=warn":                   "ade",
		"text=TIMEOUT":                    "e",
		"text=timeout":                    "de",
		"namespace=shop&severity=debug":   "abd",
		"namespace=data&text=select+1%25": "c",
	} {
		t.Run(query, func(t *testing.T) {
			w := watch(t, p, query)
			write(t, taps, "shop", "frontend-1", "web", `a {"level":"error","msg":"x"}`)
			write(t, taps, "shop", "frontend-2", "init", "b level=info y")
			write(t, taps, "data", "postgres-0", "postgres", "c SELECT 1%")
			write(t, taps, "shop", "cart-0", "web", "d [error] Timeout")
			write(t, taps, "data", "redis-0", "redis", "e WARNING TIMEOUT")
			got := ""
			for _, l := range w.lines(len(want)) {
				got += l.Body[:1]
			}
			if got != want {
				t.Errorf("lines %s, want %s", got, want)
			}
		})
	}
}

func TestTailShowsLinesAsTheyAre(t *testing.T) {
	page, address := startPage(t, nil)
	taps, p := startTaps(t, page), newPerson(t, address)
	w := watch(t, p, "")
	hostile := "x\r\n\r\nevent: lines\ndata: []\n\n</script><script>alert(1)</script>\x00\u2028"
	write(t, taps, "shop", "pod", "c", hostile)
	write(t, taps, "shop", "pod", "c", "broken \xff\xfe text")
	write(t, taps, "shop", "pod", "c", strings.Repeat("ü", maxLineBytes))
	structured := record("shop", "pod", "c", "")
	structured.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().SetEmptyMap().PutStr("message", "<b>")
	if err := taps.logs.ConsumeLogs(t.Context(), structured); err != nil {
		t.Fatal(err)
	}
	got := w.lines(4)
	if diff := cmp.Diff(line{Time: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Namespace: "shop", Pod: "pod", Container: "c", Body: hostile}, got[0]); diff != "" {
		t.Error(diff)
	}
	if got[1].Body != "broken \uFFFD\uFFFD text" {
		t.Errorf("broken UTF-8 is %q", got[1].Body)
	}
	if len(got[2].Body) > maxLineBytes+8 || !strings.HasSuffix(got[2].Body, "ü …") {
		t.Errorf("a long line has %d bytes and ends with %q", len(got[2].Body), got[2].Body[len(got[2].Body)-8:])
	}
	if got[3].Body != `{"message":"<b>"}` {
		t.Errorf("a structured body is %q", got[3].Body)
	}
}

// Whoever reads slowly loses lines, is told how many and where, and holds
// nobody up.
func TestSlowReaderLosesLinesVisibly(t *testing.T) {
	page, _ := startPage(t, nil)
	taps := startTaps(t, page)
	slow, err := page.tails.add(filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer page.tails.remove(slow)
	const written = 5000
	for range written {
		write(t, taps, "shop", "pod", "c", strings.Repeat("x", 1000))
	}
	if slow.bytes > maxTailBytes {
		t.Errorf("%d bytes wait", slow.bytes)
	}
	text, lost := slow.take()
	var kept []line
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	if len(kept)+int(lost) != written || lost == 0 || len(kept) == 0 {
		t.Errorf("of %d lines %d were kept and %d lost", written, len(kept), lost)
	}
	for range written {
		write(t, taps, "shop", "pod", "c", strings.Repeat("x", 1000))
	}
	slow.mu.Lock()
	slow.lines, slow.bytes = nil, 0 // as if a reader had taken them without looking at lost
	lostBefore := slow.lost
	slow.mu.Unlock()
	write(t, taps, "shop", "pod", "c", "after")
	text, lost = slow.take()
	if err := json.Unmarshal(text, &kept); err != nil || len(kept) != 1 || kept[0].Lost != lostBefore || lost != 0 {
		t.Errorf("the line after %d lost ones is %+v, and %d (%v)", lostBefore, kept, lost, err)
	}
}

// A reader that reads nothing at all is let go, and no pipeline waits for it.
func TestReaderThatStopsReading(t *testing.T) {
	page, address := startPage(t, nil)
	taps := startTaps(t, page)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /api/v1/tail HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	for range 20_000 { // more than the kernel's buffers take
		write(t, taps, "shop", "pod", "c", strings.Repeat("x", 1000))
	}
	if n := taps.logsSink.LogRecordCount(); n != 20_000 {
		t.Errorf("%d records passed", n)
	}
}

func TestTailsAreFew(t *testing.T) {
	page, address := startPage(t, nil)
	p := newPerson(t, address)
	for range maxTails {
		watch(t, p, "")
	}
	if got := p.get("/api/v1/tail"); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("one too many is %d", got.StatusCode)
	}
	if !page.tails.active() {
		t.Error("with people tailing the tap sleeps")
	}
}

func TestTailEndsWithItsReader(t *testing.T) {
	page, address := startPage(t, nil)
	taps := startTaps(t, page)
	w := watch(t, newPerson(t, address), "")
	write(t, taps, "shop", "pod", "c", "line")
	w.lines(1)
	w.resp.Body.Close()
	for deadline := time.Now().Add(time.Minute); page.tails.active(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the tail of somebody who left goes on")
		}
	}
}

// The program ends with somebody tailing, and at once.
func TestShutdownEndsTails(t *testing.T) {
	page, address := startPage(t, nil)
	w := watch(t, newPerson(t, address), "")
	if err := page.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if w.scanner.Scan() {
		t.Errorf("after the end comes %q", w.scanner.Text())
	}
	if _, err := page.tails.add(filter{}); err != errClosing {
		t.Errorf("a tail after the end: %v", err)
	}
	if err := page.Shutdown(t.Context()); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
}

// The server's time limit for answers is not for tails.
func TestTailOutlivesTheServersTimeLimit(t *testing.T) {
	page, address := startPage(t, func(c *Config) { c.Server.WriteTimeout = 100 * time.Millisecond })
	taps := startTaps(t, page)
	w := watch(t, newPerson(t, address), "")
	for i := range 5 {
		write(t, taps, "shop", "pod", "c", fmt.Sprint(i))
		if got := w.lines(1); got[0].Body != fmt.Sprint(i) {
			t.Errorf("line %d is %q", i, got[0].Body)
		}
	}
}

func TestTailRefusesNonsense(t *testing.T) {
	_, address := startPage(t, nil)
	p := newPerson(t, address)
	for _, query := range []string{"severity=loud", "text=" + strings.Repeat("x", maxFilterBytes+1)} {
		if got := p.get("/api/v1/tail?" + query); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%.40s is %d", query, got.StatusCode)
		}
	}
}

func TestSeverity(t *testing.T) {
	for text, want := range map[string]severity{
		`{"ts":"x","level":"error","msg":"no info"}`:   fault,
		`{"severity": "WARNING"}`:                      warn,
		"time=x level=debug msg=y":                     debug,
		"lvl=eror level=info":                          info,
		"E1123 10:39:18.000000 1 main.go:1] boom":      fault,
		"I1123 10:39:18.000000 1 main.go:1] fine":      info,
		"2026/11/23 11:12:27 INFO handled GET":         info,
		"2026-11-23 [error] 7#7: upstream":             fault,
		"2026-11-23 11:12:27 UTC [1] FATAL:  role":     fatal,
		"the error was small":                          unknown,
		"INFORMAL MEETING":                             unknown,
		"at com.example.Basket.checkout(Basket:10)":    unknown,
		strings.Repeat("x", searched) + " level=error": unknown,
		"level=": unknown, "": unknown, "level": unknown,
	} {
		if got := detectSeverity(text); got != want {
			t.Errorf("%.60q is %q, want %q", text, got, want)
		}
	}
	r := plog.NewLogRecord()
	r.SetSeverityNumber(plog.SeverityNumberWarn2)
	if got := severityOf(r, "level=error"); got != warn {
		t.Errorf("a record that says warn is %q", got)
	}
	r.SetSeverityNumber(0)
	r.SetSeverityText("Critical")
	if got := severityOf(r, "level=info"); got != fatal {
		t.Errorf("a record that says Critical is %q", got)
	}
}

func FuzzSeverity(f *testing.F) {
	for _, seed := range []string{`{"level":"error"}`, "E1123 10:39:18", "[warn]", "level level=", "INFO", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if s := detectSeverity(line); int(s) >= len(severityNames) {
			t.Errorf("severity %d", s)
		}
	})
}

func FuzzContainsFold(f *testing.F) {
	f.Add("The Error", "error")
	f.Fuzz(func(t *testing.T, body, needle string) {
		if !isASCII(body) || !isASCII(needle) {
			return
		}
		needle = strings.ToLower(needle)
		if got, want := containsFold(body, needle), strings.Contains(strings.ToLower(body), needle); got != want {
			t.Errorf("%q in %q: %v, want %v", needle, body, got, want)
		}
	})
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r > 127 }) < 0
}

func FuzzCookie(f *testing.F) {
	f.Add("1795432110.00ff")
	f.Add(newCookie(testToken, true, time.Now()).Value)
	f.Fuzz(func(t *testing.T, value string) {
		if validCookie(value, "a token that nobody has signed by", time.Now()) {
			t.Errorf("%q is taken", value)
		}
	})
}
