package kubeapi

import (
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ErrNotInCluster tells that the process runs outside a cluster.
var ErrNotInCluster = rest.ErrNotInCluster

// ClusterConfig reads how to reach the API server: from a kubeconfig file, or
// for "" from the pod's service account, whose token is read again as it is
// rotated. ErrNotInCluster when there is neither.
func ClusterConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	return config, nil
}

// Connect makes a client of the API server and gives the server's address; it
// connects to nothing yet.
func Connect(config *rest.Config) (*http.Client, *url.URL, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("make API server client: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("read API server address %q: %w", config.Host, err)
	}
	return client, base, nil
}
