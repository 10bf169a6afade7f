package kubestate

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
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
