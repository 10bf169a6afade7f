package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is longer than any test's cluster lives.
const certificateLife = 365 * 24 * time.Hour

// authority signs every certificate of the cluster, those of the kubelets' servers
// among them; service accounts get its certificate as ca.crt.
type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// newAuthority writes ca.crt and ca.key into dir.
func newAuthority(dir string) (*authority, error) {
	template := newTemplate("kubernetes", nil)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	key, err := newKey(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of the authority: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse certificate of the authority: %w", err)
	}
	a := &authority{dir: dir, certificate: certificate, key: key}
	return a, writePEM(filepath.Join(dir, "ca.crt"), "CERTIFICATE", der)
}

// issue writes NAME.crt and NAME.key, good for clients and for servers of these
// names and addresses.
func (a *authority) issue(name, user, group string, dns []string, addresses ...string) error {
	var groups []string
	if group != "" {
		groups = []string{group}
	}
	template := newTemplate(user, groups)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	template.DNSNames = dns
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	key, err := newKey(filepath.Join(a.dir, name+".key"))
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("sign certificate of %s: %w", name, err)
	}
	return writePEM(filepath.Join(a.dir, name+".crt"), "CERTIFICATE", der)
}

// newServiceAccountKey writes sa.key and sa.pub, which sign and verify tokens.
func newServiceAccountKey(dir string) error {
	key, err := newKey(filepath.Join(dir, "sa.key"))
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("encode public key of service accounts: %w", err)
	}
	return writePEM(filepath.Join(dir, "sa.pub"), "PUBLIC KEY", der)
}

func newTemplate(user string, groups []string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // crypto/rand does not fail
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: user, Organization: groups},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(certificateLife),
	}
}

func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return key, writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	b := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("write key or certificate: %w", err)
	}
	return nil
}

// certify makes the keys, certificates and kubeconfigs of the control plane, and
// the keys and certificates of the nodes.
func (m *native) certify() error {
	ca, err := newAuthority(m.path("pki"))
	if err != nil {
		return err
	}
	const masters = "system:masters"
	errs := []error{
		newServiceAccountKey(m.path("pki")),
		ca.issue("apiserver", "kube-apiserver", "", []string{"localhost", "kubernetes", "kubernetes.default",
			"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}, m.net.node(1), "127.0.0.1", m.net.service(1)),
		ca.issue("admin", "admin", masters, nil),
		ca.issue("apiserver-kubelet", "kube-apiserver-kubelet-client", masters, nil),
		ca.issue("front-proxy", "front-proxy", "", nil),
		ca.issue("kube-controller-manager", "system:kube-controller-manager", "", nil),
		ca.issue("kube-scheduler", "system:kube-scheduler", "", nil),
		ca.issue("proxy", "system:kube-proxy", "", nil),
	}
	for _, n := range m.nodes {
		errs = append(errs,
			ca.issue(n.name, "system:node:"+n.name, "system:nodes", nil),
			// Signed by the cluster's own authority, so that who holds a service
			// account's ca.crt can verify it.
			ca.issue(n.name+"-serving", "system:node:"+n.name, "system:nodes", []string{n.name}, m.net.node(n.number)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return errors.Join(
		m.writeKubeconfig("admin", m.path("conf", "admin.kubeconfig")),
		m.writeKubeconfig("kube-controller-manager", m.path("conf", "kube-controller-manager.kubeconfig")),
		m.writeKubeconfig("kube-scheduler", m.path("conf", "kube-scheduler.kubeconfig")),
	)
}
