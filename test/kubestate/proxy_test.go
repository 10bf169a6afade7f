//go:build e2e

package kubestate

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
)

// hidden begins the values of the secrets of testdata/objects.
const hidden = "must-not-be-read-PzC5fYw4"

// proxy passes requests to the API server and looks into the answers.
type proxy struct {
	kubeconfig string // of the service account, by way of the proxy
	bytes      atomic.Int64
	mu         sync.Mutex
	readAt     string // the path of a request whose answer had a value
	refused    map[string]int
}

// startProxy runs one until the test ends.
func startProxy(t *testing.T, server *apiserver.Server) *proxy {
	t.Helper()
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(server.Config()))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{refused: map[string]int{}}
	// A token is sent by TLS only.
	listener := httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Header.Del("Accept-Encoding") },
		Transport:     transport,
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusForbidden {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.refused[resp.Request.URL.Path]++
			}
			resp.Body = &searchedBody{ReadCloser: resp.Body, proxy: p, path: resp.Request.URL.String()}
			return nil
		},
	})
	t.Cleanup(listener.Close)
	p.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: listener.Certificate().Raw})
	err = clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: listener.URL, CertificateAuthorityData: authority}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: token(t, server)}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// token is one of the service account that may only list and watch.
func token(t *testing.T, server *apiserver.Server) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	request, err := client.CoreV1().ServiceAccounts("plain").CreateToken(t.Context(), "reader",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// checkUnread fails if a value of a secret came by, or a request was refused.
func (p *proxy) checkUnread(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readAt != "" {
		t.Errorf("the answer to %s had the value of a secret", p.readAt)
	}
	for path, n := range p.refused {
		t.Errorf("%s was forbidden %d times", path, n)
	}
	if p.bytes.Load() == 0 {
		t.Error("nothing came by")
	}
	t.Logf("%d bytes of answers had no value of a secret", p.bytes.Load())
}

// checkSearch fails if a value that comes by is not found.
func checkSearch(t *testing.T, p *proxy) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		config.ContentType = form
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Secrets("odd").List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		if p.readAt == "" {
			t.Errorf("the values of secrets are not found in %s", form)
		}
		p.readAt = ""
		p.mu.Unlock()
	}
}

// searchedBody looks for values of secrets in what is read from it.
type searchedBody struct {
	io.ReadCloser
	proxy *proxy
	path  string
	tail  []byte
}

func (b *searchedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.proxy.bytes.Add(int64(n))
	b.tail = append(b.tail, into[:n]...)
	for _, form := range hiddenForms {
		if bytes.Contains(b.tail, form) {
			b.proxy.mu.Lock()
			b.proxy.readAt = b.path
			b.proxy.mu.Unlock()
		}
	}
	const longest = 2 * len(hidden)
	b.tail = b.tail[max(0, len(b.tail)-longest):]
	return n, err
}

// hiddenForms is how the value looks in protobuf and in JSON. It is cut to whole
// groups of three bytes, which base64 writes alike whatever follows.
var hiddenForms = [][]byte{
	[]byte(hidden),
	[]byte(base64.StdEncoding.EncodeToString([]byte(hidden[:len(hidden)/3*3]))),
}
