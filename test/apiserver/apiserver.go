package apiserver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
)

// readyLimit is how long the API server may take to be ready.
const readyLimit = 2 * time.Minute

// Server is an API server and its etcd.
type Server struct {
	Dir  string // data, logs, kubeconfig
	port int

	etcd, api     program
	adminToken    string
	etcdURL, peer string
}

// program is one that runs.
type program struct {
	path string
	args []string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// Test starts a server that ends with the test.
func Test(t testing.TB) *Server {
	t.Helper()
	s, err := Start(t.Context(), t.TempDir(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Start builds what is missing and returns when the API answers. Dir must be
// empty.
func Start(ctx context.Context, dir string, progress io.Writer) (*Server, error) {
	etcd, api := cluster.ControlPlanePrograms()
	etcdPath, err := etcd.Build(ctx, progress)
	if err != nil {
		return nil, err
	}
	apiPath, err := api.Build(ctx, progress)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, port: ports[0], adminToken: rand.Text(),
		etcdURL: fmt.Sprintf("http://127.0.0.1:%d", ports[1]), peer: fmt.Sprintf("http://127.0.0.1:%d", ports[2])}
	if err := s.configure(etcdPath, apiPath); err != nil {
		return nil, err
	}
	if err := errors.Join(s.etcd.start(), s.api.start()); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) configure(etcdPath, apiPath string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	keyFile, tokens := filepath.Join(s.Dir, "service-account.key"), filepath.Join(s.Dir, "tokens.csv")
	users := s.adminToken + ",admin,admin,system:masters\nnobody,nobody,nobody\n"
	if err := errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(tokens, []byte(users), 0o600),
	); err != nil {
		return err
	}
	s.etcd = program{path: etcdPath, log: filepath.Join(s.Dir, "etcd.log"), args: []string{
		"--data-dir", filepath.Join(s.Dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", s.etcdURL, "--advertise-client-urls", s.etcdURL,
		"--listen-peer-urls", s.peer, "--initial-advertise-peer-urls", s.peer, "--initial-cluster", "default=" + s.peer,
	}}
	s.api = program{path: apiPath, log: filepath.Join(s.Dir, "kube-apiserver.log"), args: []string{
		"--etcd-servers", s.etcdURL, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
		"--secure-port", fmt.Sprint(s.port), "--cert-dir", filepath.Join(s.Dir, "certs"),
		"--service-cluster-ip-range", "10.99.0.0/16", "--token-auth-file", tokens, "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", keyFile, "--service-account-signing-key-file", keyFile,
		"--disable-admission-plugins", "ServiceAccount,Priority,TaintNodesByCondition",
		"--allow-privileged", "--endpoint-reconciler-type", "none",
	}}
	return nil
}

// URL is the API server's address.
func (s *Server) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", s.port) }

// Config is an administrator's.
func (s *Server) Config() *rest.Config { return s.config(s.adminToken) }

// NobodyConfig is of one who is known and may do nothing.
func (s *Server) NobodyConfig() *rest.Config { return s.config("nobody") }

func (s *Server) config(token string) *rest.Config {
	return &rest.Config{Host: s.URL(), BearerToken: token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(s.Dir, "certs", "apiserver.crt")}}
}

// Kubeconfig writes a file for a config of this server, and returns its name.
func (s *Server) Kubeconfig(c *rest.Config) (string, error) {
	file := filepath.Join(s.Dir, "kubeconfig-"+c.BearerToken)
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"test": {Server: c.Host, CertificateAuthority: c.CAFile}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"test": {Token: c.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "test"}},
		CurrentContext: "test",
	}, file)
	return file, err
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		err := s.ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for kube-apiserver: %w; the end of its log:\n%s", err, s.api.tail())
		case <-s.api.done:
			return fmt.Errorf("kube-apiserver ended; the end of its log:\n%s", s.api.tail())
		case <-s.etcd.done:
			return fmt.Errorf("etcd ended; the end of its log:\n%s", s.etcd.tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *Server) ask(ctx context.Context) error {
	if _, err := os.Stat(s.Config().CAFile); err != nil {
		return err // it makes its certificate first
	}
	client, err := rest.HTTPClientFor(s.Config())
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz answered %s", resp.Status)
	}
	// The namespace default is made after the server is ready.
	req.URL.Path = "/api/v1/namespaces/default"
	again, err := client.Do(req)
	if err != nil {
		return err
	}
	defer again.Body.Close()
	if again.StatusCode != http.StatusOK {
		return fmt.Errorf("namespace default: %s", again.Status)
	}
	return nil
}

// StopAPI ends the API server; etcd keeps what there is.
func (s *Server) StopAPI() error { return s.api.stop() }

// StartAPI starts it again at the same address.
func (s *Server) StartAPI(ctx context.Context) error {
	if err := s.api.start(); err != nil {
		return err
	}
	return s.ready(ctx)
}

// Compact makes etcd forget all but the newest version of everything, so that
// watches from before it expire.
func (s *Server) Compact(ctx context.Context) error {
	var now struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	if err := s.askEtcd(ctx, "range", `{"key":"AA=="}`, &now); err != nil {
		return err
	}
	return s.askEtcd(ctx, "compaction", fmt.Sprintf(`{"revision":%q}`, now.Header.Revision), &now)
}

func (s *Server) askEtcd(ctx context.Context, what, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.etcdURL+"/v3/kv/"+what, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answered %s to %s", resp.Status, what)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// Stop ends both.
func (s *Server) Stop() error { return errors.Join(s.api.stop(), s.etcd.stop()) }

// PIDs are those of kube-apiserver and etcd.
func (s *Server) PIDs() []int { return []int{s.api.cmd.Process.Pid, s.etcd.cmd.Process.Pid} }

func (p *program) start() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(p.path), err)
	}
	p.cmd, p.done = cmd, make(chan struct{})
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is seen in its log
	}()
	return nil
}

// stop asks it to end, and kills it if it does not: nothing is to be saved.
func (p *program) stop() error {
	if p.cmd == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return nil
}

func (p *program) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(text, []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}

// freePorts finds ports that nobody listens at.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
