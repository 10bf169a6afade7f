package stores

import "net/http"

// The stores that somebody else runs, such as those in a cluster: they can be
// asked, but have no process here to stop or restart. url is what the paths of
// the query API are appended to.

// RemotePrometheus is the Prometheus at a URL.
func RemotePrometheus(url string, client *http.Client) *Prometheus {
	return &Prometheus{store: &store{base: url, client: client}, URL: url}
}

// RemoteLoki is the Loki at a URL.
func RemoteLoki(url string, client *http.Client) *Loki {
	return &Loki{store: &store{base: url, client: client}, URL: url}
}

// RemoteJaeger is the Jaeger at a URL; where it takes spans is not known.
func RemoteJaeger(url string, client *http.Client) *Jaeger {
	return &Jaeger{store: &store{base: url, client: client}, URL: url}
}
