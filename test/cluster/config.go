package cluster

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed files
var files embed.FS

var templates = template.Must(template.New("").Option("missingkey=error").ParseFS(files, "files/*.*", "files/kubeconfig"))

// settings are what the files of one node say.
type settings struct {
	Options
	Node, PKI, Conf, Bin     string
	PodCIDR, ClusterCIDR     string
	DNSAddress               string
	PauseImage, CoreDNSImage string
}

func (m *native) settings(n node) settings {
	return settings{
		Options: m.o,
		Node:    n.name, PKI: m.path("pki"), Conf: filepath.Join(n.dir, "conf"), Bin: n.bin,
		PodCIDR: m.net.podsOf(n.number), ClusterCIDR: m.net.pods(),
		DNSAddress: m.net.service(10),
		PauseImage: pauseImage, CoreDNSImage: coreDNSImage,
	}
}

// writeConfig fills in one of the files and tells whether that changed it.
func writeConfig(name string, data any, path string) (changed bool, err error) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return false, fmt.Errorf("fill in %s: %w", name, err)
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.Bytes()) {
		return false, nil
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return false, fmt.Errorf("write configuration: %w", err)
	}
	return true, nil
}

// configureNode writes the configuration of a node's daemons, all but kubelet's.
func (m *native) configureNode(n node) error {
	s := m.settings(n)
	for name, file := range map[string]string{
		"containerd.toml": "containerd.toml",
		"cni.conflist":    "cni/10-pods.conflist",
		"proxy.yaml":      "proxy.yaml",
	} {
		if _, err := writeConfig(name, s, filepath.Join(s.Conf, file)); err != nil {
			return err
		}
	}
	// Names of the cluster only: there is no way out.
	if err := os.WriteFile(filepath.Join(s.Conf, "resolv.conf"), []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := m.writeKubeconfig("proxy", filepath.Join(s.Conf, "proxy.kubeconfig")); err != nil {
		return err
	}
	return m.writeKubeconfig(n.name, filepath.Join(s.Conf, "kubelet.kubeconfig"))
}

// writeKubeconfig writes one for the user with that certificate.
func (m *native) writeKubeconfig(user, path string) error {
	data := struct{ Name, User, Server, Authority, Certificate, Key string }{
		Name: m.o.name(), User: user, Server: m.net.node(1) + ":6443",
	}
	for file, field := range map[string]*string{
		"ca.crt": &data.Authority, user + ".crt": &data.Certificate, user + ".key": &data.Key,
	} {
		b, err := os.ReadFile(m.path("pki", file))
		if err != nil {
			return fmt.Errorf("write kubeconfig of %s: %w", user, err)
		}
		*field = base64.StdEncoding.EncodeToString(b)
	}
	_, err := writeConfig("kubeconfig", data, path)
	return err
}
