package supervisor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	certLifetime  = 10 * 365 * 24 * time.Hour
	renewalMargin = 30 * 24 * time.Hour
)

// identity is one certificate of the cluster: who it names and which server names it is good for.
type identity struct {
	file         string
	commonName   string
	organization string
	ips          []string
	dns          []string
	server       bool
}

// identities lists every certificate besides the CA. Components are in system:masters because this is one trust domain (one
// user, one machine); workloads use service accounts, which RBAC does restrict.
func identities(o *Options) []identity {
	return []identity{
		{file: "apiserver", commonName: "kube-apiserver", server: true, ips: []string{"127.0.0.1", "10.96.0.1", o.BindAddress},
			dns: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}},
		{file: "etcd", commonName: "etcd", server: true, ips: []string{"127.0.0.1"}, dns: []string{"localhost"}},
		{file: "node", commonName: o.NodeName(), server: true, ips: append([]string{"127.0.0.1"}, o.NodeIPs...), dns: []string{"localhost"}},
		{file: "etcd-client", commonName: "kube-apiserver-etcd-client"},
		{file: "kubelet-client", commonName: "kube-apiserver-kubelet-client", organization: "system:masters"},
		{file: "controller-manager", commonName: "system:kube-controller-manager", organization: "system:masters"},
		{file: "scheduler", commonName: "system:kube-scheduler", organization: "system:masters"},
		{file: "node-client", commonName: "system:node:" + o.NodeName(), organization: "system:masters"},
	}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// ensurePKI writes what is missing, near its end, or made for other addresses, and keeps the rest: a restart must not change
// keys that clients hold.
func ensurePKI(dir string, o *Options) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := ensureCA(dir)
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	for _, id := range identities(o) {
		if err := ca.ensure(dir, id); err != nil {
			return fmt.Errorf("certificate %s: %w", id.file, err)
		}
	}
	return ensureServiceAccountKey(dir)
}

func ensureCA(dir string) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	if cert, key, err := readPair(certFile, keyFile); err == nil && time.Until(cert.NotAfter) > renewalMargin {
		return &authority{cert, key}, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl, err := template(pkix.Name{CommonName: "rambo-devcluster-ca"})
	if err != nil {
		return nil, err
	}
	tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	if err := writePair(certFile, keyFile, tmpl, tmpl, key, key); err != nil {
		return nil, err
	}
	cert, key, err := readPair(certFile, keyFile)
	return &authority{cert, key}, err
}

func (ca *authority) ensure(dir string, id identity) error {
	certFile, keyFile := filepath.Join(dir, id.file+".crt"), filepath.Join(dir, id.file+".key")
	if cert, _, err := readPair(certFile, keyFile); err == nil && ca.stillGood(cert, id) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	subject := pkix.Name{CommonName: id.commonName}
	if id.organization != "" {
		subject.Organization = []string{id.organization}
	}
	tmpl, err := template(subject)
	if err != nil {
		return err
	}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if id.server {
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	tmpl.DNSNames = id.dns
	for _, ip := range slices.Compact(id.ips) {
		tmpl.IPAddresses = append(tmpl.IPAddresses, net.ParseIP(ip))
	}
	return writePair(certFile, keyFile, tmpl, ca.cert, key, ca.key)
}

func (ca *authority) stillGood(cert *x509.Certificate, id identity) bool {
	if time.Until(cert.NotAfter) < renewalMargin || cert.CheckSignatureFrom(ca.cert) != nil || cert.Subject.CommonName != id.commonName {
		return false
	}
	for _, name := range slices.Concat(id.ips, id.dns) {
		if cert.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

func template(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	// An hour back: clocks of containers and virtual machines lag after a suspend.
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLifetime)}, nil
}

func writePair(certFile, keyFile string, tmpl, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(keyFile, pemBlock("EC PRIVATE KEY", keyDER), 0o600); err != nil {
		return err
	}
	return writeFile(certFile, pemBlock("CERTIFICATE", der), 0o644)
}

func readPair(certFile, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certDER, err := readPEM(certFile)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := readPEM(keyFile)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(keyDER)
	return cert, key, err
}

// ensureServiceAccountKey makes the key that signs service account tokens: RSA, as kubeadm and kind do, so that what verifies
// the tokens here also does there.
func ensureServiceAccountKey(dir string) error {
	keyFile, pubFile := filepath.Join(dir, "sa.key"), filepath.Join(dir, "sa.pub")
	if _, err := readPEM(pubFile); err == nil {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writeFile(keyFile, pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), 0o600); err != nil {
		return err
	}
	return writeFile(pubFile, pemBlock("PUBLIC KEY", pub), 0o644)
}

func ensureToken(file, wanted string) (string, error) {
	if wanted == "" {
		if have, err := os.ReadFile(file); err == nil && len(have) > 0 {
			return string(have), nil
		}
		raw := make([]byte, 32)
		if _, err := rand.Read(raw); err != nil {
			return "", err
		}
		wanted = hex.EncodeToString(raw)
	}
	return wanted, writeFile(file, []byte(wanted), 0o600)
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func readPEM(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is not a PEM file", file)
	}
	return block.Bytes, nil
}

// writeFile replaces file in one step, so that a reader never sees half of it.
func writeFile(file string, data []byte, mode os.FileMode) error {
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
