package cluster

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// TestKubectl returns what the command printed; a failure ends the test.
func (c *Cluster) TestKubectl(t testing.TB, args ...string) string {
	t.Helper()
	return TestOutput(t, c.Kubectl(t.Context(), args...))
}

// TestHelm is TestKubectl for helm.
func (c *Cluster) TestHelm(t testing.TB, args ...string) string {
	t.Helper()
	return TestOutput(t, c.Helm(t.Context(), args...))
}

// TestOutput runs a command and returns what it printed; a failure ends the test.
func TestOutput(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, stderr.String())
	}
	return string(out)
}

// TestClient returns an admin's client and the API server's URL. By way of the
// server it reaches Services too, whatever carries the nodes.
func (c *Cluster) TestClient(t testing.TB) (client *http.Client, host string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: tls}}, config.Host
}

// TestArchives are the images that make images test-images wrote into a folder.
func TestArchives(t testing.TB, folder string) (all []string) {
	t.Helper()
	for _, pattern := range []string{"*.tar", "stores/*.tar"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(found) < 3 {
			t.Fatalf("%s has %q of %s (%v): run make images test-images", folder, found, pattern, err)
		}
		all = append(all, found...)
	}
	return all
}

// TestEventually asks until there is no error; after patience the test ends with
// the last one.
func TestEventually(t testing.TB, patience time.Duration, what string, ask func(context.Context) error) {
	t.Helper()
	if err := poll(t.Context(), patience, what, "", ask); err != nil {
		t.Fatal(err)
	}
}
