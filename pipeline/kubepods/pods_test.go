package kubepods

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started is a running extension.
type started struct {
	extension.Extension
	cache *kubemeta.Cache
	tel   *componenttest.Telemetry
	logs  *observer.ObservedLogs
}

func configOf(t *testing.T, written map[string]any) *Config {
	t.Helper()
	cfg := NewFactory().CreateDefaultConfig()
	if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	if err := cfg.(*Config).Validate(); err != nil {
		t.Fatal(err)
	}
	return cfg.(*Config)
}

func create(t *testing.T, written map[string]any) *started {
	t.Helper()
	tel := componenttest.NewTelemetry()
	core, logs := observer.New(zap.InfoLevel)
	set := extension.Settings{ID: component.MustNewID("kubepods"), TelemetrySettings: tel.NewTelemetrySettings()}
	set.Logger = zap.New(core)
	ext, err := NewFactory().Create(t.Context(), set, configOf(t, written))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 { // twice must be safe
			if err := ext.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &started{ext, ext.(interface{ Cache() *kubemeta.Cache }).Cache(), tel, logs}
}

func start(t *testing.T, written map[string]any) *started {
	t.Helper()
	s := create(t, written)
	if err := s.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually polls until the condition holds; the test's own deadline ends it.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// metric sums a metric's points that carry the reason, or all for "".
func (s *started) metric(t *testing.T, name, reason string) float64 {
	t.Helper()
	m, err := s.tel.GetMetric(name)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	switch data := m.Data.(type) {
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			sum += float64(p.Value)
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			sum += p.Value
		}
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			if is, _ := p.Attributes.Value("reason"); reason == "" || is.AsString() == reason {
				sum += float64(p.Value)
			}
		}
	default:
		t.Fatalf("%s: %T", name, data)
	}
	return sum
}

func real(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// kubelet is a TLS server of real pods that accepts one token at a time.
type kubelet struct {
	*httptest.Server
	mu    sync.Mutex
	token string
	seen  map[string]int // requests by token
}

func newKubelet(t *testing.T, token string) *kubelet {
	pods := real(t, "kubelet-pods.json")
	k := &kubelet{token: token, seen: map[string]int{}}
	k.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.seen[r.Header.Get("Authorization")]++
		switch {
		case r.Header.Get("Authorization") != "Bearer "+k.token:
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
		case r.URL.Path != "/pods":
			http.NotFound(w, r)
		default:
			_, _ = w.Write(pods)
		}
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *kubelet) files(t *testing.T, token string) (caFile, tokenFile string) {
	t.Helper()
	dir := t.TempDir()
	caFile, tokenFile = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	write(t, caFile, string(certificate(k.Server)))
	write(t, tokenFile, token+"\n")
	return caFile, tokenFile
}

// certificate is what clients of the server must trust, in PEM.
func certificate(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKubeletOverTLSWithARotatedToken(t *testing.T) {
	k := newKubelet(t, "first")
	caFile, tokenFile := k.files(t, "first")
	s := start(t, map[string]any{"source": "kubelet", "kubelet": map[string]any{
		"endpoint": k.URL + "/", "token_file": tokenFile, "tls": map[string]any{"ca_file": caFile},
	}})
	eventually(t, "pods of the kubelet", s.cache.Synced)
	if pods := s.metric(t, "crowsnest_kubepods_pods", ""); pods != 18 {
		t.Errorf("%v pods", pods)
	}
	if s.metric(t, "crowsnest_kubepods_size_bytes", "") < 10000 || s.metric(t, "crowsnest_kubepods_last_answer_age_seconds", "") < 0 {
		t.Error("size or age is wrong")
	}
	k.mu.Lock()
	k.token = "second"
	k.mu.Unlock()
	write(t, tokenFile, "second")
	eventually(t, "the rotated token", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.seen["Bearer second"] > 0
	})
}

func TestKubeletThatRefuses(t *testing.T) {
	k := newKubelet(t, "right")
	caFile, tokenFile := k.files(t, "wrong")
	s := start(t, map[string]any{"source": "kubelet", "kubelet": map[string]any{
		"endpoint": k.URL, "token_file": tokenFile, "tls": map[string]any{"ca_file": caFile},
	}})
	eventually(t, "an error", func() bool { return s.metric(t, "crowsnest_kubepods_source_errors", "unauthorized") > 0 })
	if s.cache.Synced() || !s.cache.Available() {
		t.Error("synced with a refusal, or given up")
	}
	entry := s.logs.FilterLevelExact(zap.WarnLevel).All()[0]
	if remedy := fmt.Sprint(entry.ContextMap()["remedy"]); !strings.Contains(remedy, "kubelet.token_file") {
		t.Errorf("%v", entry)
	}
}

func TestTokenThatIsMissing(t *testing.T) {
	k := newKubelet(t, "right")
	caFile, tokenFile := k.files(t, "right")
	if err := os.Remove(tokenFile); err != nil {
		t.Fatal(err)
	}
	s := start(t, map[string]any{"source": "kubelet", "kubelet": map[string]any{
		"endpoint": k.URL, "token_file": tokenFile, "tls": map[string]any{"ca_file": caFile},
	}})
	eventually(t, "an error", func() bool { return s.metric(t, "crowsnest_kubepods_source_errors", "unauthorized") > 0 })
	if k.mu.Lock(); len(k.seen) != 0 {
		t.Error("asked without a token")
	}
	k.mu.Unlock()
}

func TestKubeletThatIsNotTrusted(t *testing.T) {
	k := newKubelet(t, "")
	s := start(t, map[string]any{"source": "kubelet", "kubelet": map[string]any{"endpoint": k.URL}})
	eventually(t, "an error", func() bool { return s.metric(t, "crowsnest_kubepods_source_errors", "unreachable") > 0 })
	entry := s.logs.FilterLevelExact(zap.WarnLevel).All()[0]
	if text := fmt.Sprint(entry.ContextMap()); !strings.Contains(text, "certificate") {
		t.Errorf("%v", text)
	}
}

func TestAPIServerByKubeconfig(t *testing.T) {
	// kubectl, which wrote the file, leaves the list's version out; a server never does.
	pods := bytes.Replace(real(t, "apiserver-pods.json"), []byte(`"resourceVersion": ""`), []byte(`"resourceVersion": "1"`), 1)
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch query := r.URL.Query(); {
		case r.Header.Get("Authorization") != "Bearer secret":
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
		case query.Get("fieldSelector") != "spec.nodeName=lab-1":
			http.Error(w, "more than this node", http.StatusForbidden)
		case query.Get("watch") == "":
			_, _ = w.Write(pods)
		default:
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	defer api.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	authority := base64.StdEncoding.EncodeToString(certificate(api))
	write(t, kubeconfig, `{"apiVersion":"v1","kind":"Config","current-context":"c",
		"clusters":[{"name":"c","cluster":{"server":"`+api.URL+`","certificate-authority-data":"`+authority+`"}}],
		"users":[{"name":"u","user":{"token":"secret"}}],
		"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`)
	s := start(t, map[string]any{"node": "lab-1", "kubeconfig": kubeconfig})
	eventually(t, "pods of the API server", s.cache.Synced)
	if pods := s.metric(t, "crowsnest_kubepods_pods", ""); pods != 19 {
		t.Errorf("%v pods", pods)
	}
	if err := s.Shutdown(t.Context()); err != nil { // while the watch is open
		t.Error(err)
	}
	if _, ok := s.cache.ByName("shop", "web-7c58db8d8d-6887l"); !ok {
		t.Error("lookups end with the source")
	}
}

func TestOutsideOfAClusterNothingIsWaitedFor(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	f := func(warnings int, written map[string]any) {
		t.Helper()
		s := start(t, written)
		if s.cache.Available() || !s.cache.Synced() {
			t.Error("consumers would wait")
		}
		if n := s.logs.FilterMessageSnippet("set source: none").Len(); n != warnings || s.logs.Len() != warnings {
			t.Errorf("%v", s.logs.All())
		}
	}
	f(1, map[string]any{}) // the default, without a node's name
	f(0, map[string]any{"source": "none"})
}

func TestInAClusterWithoutAServiceAccountDataStillFlows(t *testing.T) {
	s := create(t, map[string]any{"node": "lab-1"})
	src, err := s.Extension.(*pods).newAPIServer(nil, os.ErrNotExist)
	if src != nil || err != nil || s.logs.FilterMessageSnippet("automountServiceAccountToken").Len() != 1 {
		t.Errorf("%v, %v, %v", src, err, s.logs.All())
	}
}

func TestInAClusterTheNodesNameIsNeeded(t *testing.T) {
	s := create(t, map[string]any{})
	_, err := s.Extension.(*pods).newAPIServer(&rest.Config{Host: "https://10.96.0.1"}, nil)
	if err == nil || !strings.Contains(err.Error(), "K8S_NODE_NAME") {
		t.Errorf("%v: would watch the pods of no node", err)
	}
}

func TestStartRefusesWhatCannotWork(t *testing.T) {
	f := func(written map[string]any, want string) {
		t.Helper()
		s := create(t, written)
		if err := s.Start(t.Context(), componenttest.NewNopHost()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	missing := filepath.Join(t.TempDir(), "missing")
	f(map[string]any{"node": "n", "kubeconfig": missing}, "read kubeconfig "+missing)
	f(map[string]any{"source": "kubelet", "kubelet": map[string]any{
		"endpoint": "https://localhost:10250", "tls": map[string]any{"ca_file": missing}}}, "make kubelet client")
}

func TestConfigIsChecked(t *testing.T) {
	f := func(written map[string]any, want string) {
		t.Helper()
		cfg := NewFactory().CreateDefaultConfig()
		if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
			t.Fatal(err)
		}
		if err := cfg.(*Config).Validate(); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(map[string]any{"source": "docker"}, `source: "docker", must be apiserver, kubelet or none`)
	f(map[string]any{"source": "kubelet"}, `kubelet.endpoint: "", must be a URL such as https://10.0.0.7:10250`)
	f(map[string]any{"source": "kubelet", "kubelet": map[string]any{"endpoint": "localhost:10250"}},
		`kubelet.endpoint: "localhost:10250", must be a URL such as https://10.0.0.7:10250`)
	f(map[string]any{"kubeconfig": "/k"}, "node: is empty, must be the name of the node whose pods are watched")
	if err := componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()); err != nil {
		t.Error(err)
	}
}

func TestShutdownWithoutStart(t *testing.T) { create(t, map[string]any{"source": "none"}) }
