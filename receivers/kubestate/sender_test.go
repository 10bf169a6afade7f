package kubestate

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

// kubeconfigOf writes a file that leads to a server.
func kubeconfigOf(t *testing.T, url string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: c}}],
clusters: [{name: c, cluster: {server: "` + url + `"}}], users: [{name: c, user: {}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestFromListToPoints runs the whole receiver at a fake that has one pod.
func TestFromListToPoints(t *testing.T) {
	f := &fake{answers: []http.HandlerFunc{list("5", "", "a"), stays(nil)}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	r := startWith(t, componenttest.NewNopHost(), map[string]any{
		"kubeconfig": kubeconfigOf(t, server.URL), "node": "n1", "collection_interval": "100ms"})
	series := seriesName("kube_pod_created", map[string]string{"namespace": "default", "pod": "a", "uid": "u-1"})
	poll(t, "the pod is told", func() (bool, string) { return r.latest()[series].Value == 1, "" })
	if q := f.request(t, 0); q.Get("fieldSelector") != "spec.nodeName=n1" {
		t.Errorf("list: %v", q)
	}
	if q := f.request(t, 1); q.Get("fieldSelector") != "spec.nodeName=n1" {
		t.Errorf("watch: %v", q)
	}
}

// A pipeline that holds a batch up for hours must not make what follows look old.
func TestTimeAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := newStore(things, &budget{max: 1 << 30})
		for i := range 3 * batchPoints / 2 {
			objects.put(fmt.Sprint(i), thing(fmt.Sprint(i), "x", "y"))
		}
		tel := componenttest.NewTelemetry()
		defer func() { _ = tel.Shutdown(context.Background()) }()
		telemetry, err := newTelemetry(tel.NewTelemetrySettings().MeterProvider)
		if err != nil {
			t.Fatal(err)
		}
		waits := []time.Duration{0, 2 * time.Hour, 0}
		batches, began := 0, time.Now()
		var ages []time.Duration
		next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
			eachPoint(md, func(_ pmetric.Metric, p pmetric.NumberDataPoint) {
				if len(ages) == batches {
					ages = append(ages, p.Timestamp().AsTime().Sub(began))
				}
			})
			time.Sleep(waits[batches])
			batches++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s := &sender{stores: []*store{objects}, next: next, telemetry: telemetry, complaints: complaint.New(zap.NewNop(), complaint.Interval)}
		s.pass(t.Context())
		if got := fmt.Sprint(ages); got != "[0s 0s 2h0m0s]" {
			t.Errorf("times of batches, after the begin: %v", got)
		}
		if s.batch.columns != nil {
			t.Error("what was sent is kept until the next interval")
		}
	})
}
