package prometheus

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const acceptProtobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

// fetch reads the page as it comes.
func fetch(t testing.TB, e *running, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.addr.String()+pagePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// parsePage reads a page with Prometheus's own parser: "series value", sorted.
func parsePage(t *testing.T, contentType string, body []byte) []string {
	t.Helper()
	p, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("parse %s: %v", contentType, err)
		}
		var ls labels.Labels
		switch entry {
		case textparse.EntrySeries:
			_, _, v := p.Series()
			p.Labels(&ls)
			lines = append(lines, fmt.Sprintf("%s %v", ls, v))
		case textparse.EntryHistogram:
			_, _, h, _ := p.Histogram()
			p.Labels(&ls)
			lines = append(lines, fmt.Sprintf("%s %s", ls, h))
		}
	}
	slices.Sort(lines)
	return lines
}

// shown is what the page should say of points. The text formats have no native
// histograms: their count and sum are there, as of one without buckets.
func shown(points []point, natives bool) []string {
	var lines []string
	for i := range points {
		p := points[i]
		if p.kind == kindNative && !natives {
			n := p.detail.native
			p.kind, p.hasSum = kindClassic, true
			p.detail = &detail{count: n.Count, sum: n.Sum}
		}
		p.expand(func(s *sample) {
			text := fmt.Sprint(s.value)
			if s.native != nil {
				text = s.native.String()
			}
			lines = append(lines, fmt.Sprintf("%s %s", p.seriesLabels(s), text))
		})
	}
	slices.Sort(lines)
	return lines
}

func TestEachFormatShowsEveryKind(t *testing.T) {
	e := start(t, withPage)
	md := everyKind(time.Now().UnixMilli())
	odd := resourceMetrics(md, "service.name=odd")
	addGauge(odd, "g", "", 1e21, 5, "quote=a\"b", `backslash=\`, "feed=a\nb", "utf8=\u00e9")
	addGauge(odd, "dotted.name", "", 0.1, 5, "dotted.label=v")
	exposition(odd, "gauge")
	addGauge(odd, "dotted.alone", "", 0.1, 5)
	exposition(odd, "unknown")
	addHistogram(odd, "dotted.h", "", []float64{1e-7, 3}, []uint64{1, 2, 3}, 0.1, 5)
	odd.At(odd.Len() - 1).SetDescription("a \\ \n \" b")
	exposition(odd, "histogram")
	addGauge(odd, "rule:name", "", 3, 5)
	exposition(odd, "gauge")
	e.mustConsume(md)
	points := translate(md, 0).points
	for _, accept := range []string{"text/plain;version=1.0.0;escaping=allow-utf-8", acceptOpenMetrics + ";escaping=allow-utf-8", acceptProtobuf + ";escaping=allow-utf-8"} {
		resp, body := fetch(t, e, "Accept", accept)
		natives := strings.Contains(accept, "protobuf")
		if diff := cmp.Diff(shown(points, natives), parsePage(t, resp.Header.Get("Content-Type"), body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", accept, diff)
		}
	}
	// To clients that know no UTF-8 names.
	for _, accept := range []string{"text/plain", acceptOpenMetrics, acceptProtobuf} {
		resp, body := fetch(t, e, "Accept", accept)
		page := strings.Join(parsePage(t, resp.Header.Get("Content-Type"), body), "\n")
		for _, want := range []string{`__name__="dotted_name", dotted_label="v"`, `__name__="dotted_h_bucket"`, `__name__="dotted_alone"`, `__name__="rule:name"`} {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %s", accept, want)
			}
		}
	}
}

// A family of many chunks: each series once, and the text's description once.
func TestLargeFamiliesAreWrittenInChunks(t *testing.T) {
	e := start(t, withPage)
	const n = 5*chunkEntries + 7
	md := metrics(func(ms pmetric.MetricSlice) {
		for i := range n {
			gauge(1, 5, "i="+strconv.Itoa(i), "long="+strings.Repeat("x", 200))(ms)
		}
	})
	e.mustConsume(md)
	want := shown(translate(md, 0).points, true)
	for _, accept := range []string{"text/plain", acceptOpenMetrics, acceptProtobuf} {
		resp, body := fetch(t, e, "Accept", accept)
		if diff := cmp.Diff(want, parsePage(t, resp.Header.Get("Content-Type"), body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", accept, diff)
		}
		if got := strings.Count(string(body), "# TYPE g gauge"); accept != acceptProtobuf && got != 1 {
			t.Errorf("%s: described %d times", accept, got)
		}
	}
}

// While a page is written others come and go: what stays must be there once.
func TestThePageIsWholeWhileSeriesComeAndGo(t *testing.T) {
	tb := newTable(1<<30, time.Hour)
	fill := func(name string, now time.Time) {
		tb.update(translate(metrics(func(ms pmetric.MetricSlice) {
			for i := range 3 * chunkEntries {
				gauge(1, 5, name+"="+strconv.Itoa(i), "long="+strings.Repeat("x", 400))(ms)
			}
		}), 0), now)
	}
	fill("going", epoch)
	fill("staying", epoch.Add(time.Minute))
	p := page{table: tb}
	var out strings.Builder
	if err := p.write(&churn{Builder: &out, first: func() {
		tb.expire(epoch.Add(time.Hour), 0)
		fill("coming", epoch.Add(time.Minute))
	}}, newWriterOf("text/plain")); err != nil {
		t.Fatal(err)
	}
	if n, _ := tb.size(); n != 6*chunkEntries {
		t.Fatalf("%d series in the table, want those that stay and those that came", n)
	}
	if got := strings.Count(out.String(), "staying="); got != 3*chunkEntries {
		t.Errorf("%d of those that stay, want %d", got, 3*chunkEntries)
	}
}

// churn changes the table at the first write.
type churn struct {
	*strings.Builder
	first func()
}

func (c *churn) Write(b []byte) (int, error) {
	if c.first != nil {
		c.first()
		c.first = nil
	}
	return c.Builder.Write(b)
}

func TestThePageIsCompressedIfAskedFor(t *testing.T) {
	e := start(t, withPage)
	e.mustConsume(pageMetrics())
	_, plain := fetch(t, e)
	f := func(accept string, zipped bool) {
		t.Helper()
		resp, body := fetch(t, e, "Accept-Encoding", accept)
		if got := resp.Header.Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("%q: gzip %v, want %v", accept, got, zipped)
			return
		}
		if zipped {
			z, err := gzip.NewReader(strings.NewReader(string(body)))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if string(body) != string(plain) {
			t.Errorf("%q: another page:\n%s", accept, body)
		}
	}
	f("gzip", true)
	f("deflate, gzip;q=0.5", true)
	f("gzip;q=0", false)
	f("gzip;q=0.0, identity", false)
	f("zstd", false)
	f("", false)
}

func TestTooManyScrapesAreRefused(t *testing.T) {
	e := start(t, withPage)
	e.mustConsume(pageMetrics())
	p := &page{table: e.table, tel: e.metricsExporter.tel, slots: make(chan struct{}, 1)}
	p.slots <- struct{}{}
	f := func(want int) {
		t.Helper()
		w := &recorder{header: http.Header{}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, pagePath, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.ServeHTTP(w, req)
		if w.code != want {
			t.Errorf("status %d, want %d", w.code, want)
		}
	}
	f(http.StatusServiceUnavailable)
	<-p.slots
	f(http.StatusOK)
	f(http.StatusOK)
	if got := e.counter("crowsnest_prometheus_scrapes", "outcome", "refused"); got != 1 {
		t.Errorf("%d counted as refused, want 1", got)
	}
}

// recorder is the answer of one request.
type recorder struct {
	header http.Header
	code   int
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(code int) { r.code = code }

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return len(b), nil
}
