package scrape

import (
	"testing"
)

// Whatever a page holds, the scraper must live on, count what it holds in
// memory rightly, and end every series that it began.
func FuzzPage(f *testing.F) {
	f.Add([]byte(everyType), []byte("loose 1\n"), uint8(0))
	f.Add([]byte("# TYPE a counter\na_total 1 # {x=\"y\"} 1\na_created 1\n# EOF\n"), []byte("# EOF\n"), uint8(1))
	f.Add([]byte("\x0a\x01a\x18\x00\x22\x0b\x1a\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"), []byte(""), uint8(2))
	f.Add([]byte("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum NaN\n"), []byte("a_count 1\n# TYPE a summary\na{quantile=\"1\"} 2\na_sum 1\na_count 1\n"), uint8(0))
	types := []string{text, openMetrics, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}
	f.Fuzz(func(t *testing.T, first, second []byte, kind uint8) {
		b := newBench(&job{})
		live := map[string]bool{}
		for n, body := range [][]byte{first, second, first, nil} {
			md, out := b.metrics()
			b.page.begin(scrapeTime+int64(n), out)
			err := b.page.parse(body, format{contentType: types[int(kind)%len(types)], native: true, classic: kind&4 != 0, ownTimes: kind&8 != 0})
			if err != nil || n == 3 {
				md, out = b.metrics()
				b.page.begin(scrapeTime+int64(n), out)
				b.page.vanish()
			} else {
				b.page.sweep()
			}
			b.page.commit(true, err != nil || n == 3)
			for _, line := range flatten(md) {
				live[id(line)] = !stale(line)
			}
		}
		for id, is := range live {
			if is {
				t.Errorf("%s was not ended", id)
			}
		}
		b.page.close()
		if used := b.series.used.Load(); used != 0 {
			t.Errorf("%d bytes are not given back", used)
		}
	})
}
