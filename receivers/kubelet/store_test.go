package kubelet

import (
	"fmt"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/samples"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// ownTime is the time of a cAdvisor line, which a store of today refuses.
var ownTime = regexp.MustCompile(`(?m) \d{13}$`)

// TestSameSeriesAsPrometheus lets a real Prometheus scrape the captures and
// compares all its series and values with those that go out here.
func TestSameSeriesAsPrometheus(t *testing.T) {
	pages := map[string]string{} // by instance
	var targets []string
	for _, name := range captures {
		body := ownTime.ReplaceAllString(string(capture(t, name)), "")
		server := httptest.NewServer(text(body))
		t.Cleanup(server.Close)
		instance := strings.TrimPrefix(server.URL, "http://")
		targets = append(targets, instance)
		pages[instance] = body
	}
	prometheus := stores.TestPrometheus(t, stores.Options{ScrapeTargets: targets})
	for instance, body := range pages {
		out := pmetric.NewMetricSlice()
		p := newPage(200_000, nil)
		p.begin(time.Now().UnixMilli())
		if err := parseAll(p, []byte(body), formatText); err != nil {
			t.Fatal(err)
		}
		writeAll(p, out)
		var own []string
		for _, line := range flatten(out) {
			own = append(own, line[:strings.LastIndexByte(line, ' ')])
		}
		samples.Equal(t, own, seriesOf(t, prometheus, instance))
	}
}

// seriesOf waits until Prometheus has scraped the instance and gives its series.
func seriesOf(t *testing.T, prometheus *stores.Prometheus, instance string) (lines []string) {
	t.Helper()
	for {
		up, err := prometheus.Query(t.Context(), fmt.Sprintf("up{instance=%q} == 1", instance))
		if err != nil {
			t.Fatal(err)
		}
		if len(up) == 1 {
			break
		}
		time.Sleep(100 * time.Millisecond) // ends with the test's own time limit
	}
	samples, err := prometheus.Query(t.Context(), fmt.Sprintf("{instance=%q}", instance))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		name := s.Labels["__name__"]
		if name == "up" || strings.HasPrefix(name, "scrape_") {
			continue
		}
		delete(s.Labels, "instance")
		delete(s.Labels, "job")
		lines = append(lines, fmt.Sprintf("%s %v", labels.FromMap(s.Labels), s.Value))
	}
	slices.Sort(lines)
	return lines
}
