package supervisor

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// layout knows where things are in the cluster's folder.
type layout struct{ dir string }

func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l layout) pki(file string) string      { return l.path("pki", file) }
func (l layout) kubeconfig() string          { return l.path("kubeconfig") }
func (l layout) config(name string) string   { return l.path("config", name) }
func (l layout) log(component string) string { return l.path("logs", component+".log") }

func (l layout) create() error {
	for _, d := range []string{"", "pki", "config", "logs", "bin", "node"} {
		if err := os.MkdirAll(l.path(d), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// linkKubectl makes bin/kubectl, a symlink to this program.
func (l layout) linkKubectl() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	link := l.path("bin", "kubectl")
	tmp := link + ".tmp"
	_ = os.Remove(tmp)
	if err := os.Symlink(exe, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, link)
}

// writeTokenFile writes the file behind --token-auth-file: token, user, uid, groups.
func (l layout) writeTokenFile(token string) error {
	line := fmt.Sprintf("%s,admin,admin,\"system:masters\"\n", token)
	return writeFile(l.pki("tokens.csv"), []byte(line), 0o600)
}

const kubeconfigTemplate = `apiVersion: v1
kind: Config
current-context: devcluster
clusters:
- name: devcluster
  cluster:
    server: SERVER
    certificate-authority-data: CA
users:
- name: USER
  user:
CREDENTIALS
contexts:
- name: devcluster
  context:
    cluster: devcluster
    user: USER
`

func (l layout) writeKubeconfig(file, server, user, credentials string) error {
	ca, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		return err
	}
	text := strings.NewReplacer("SERVER", server, "CA", base64.StdEncoding.EncodeToString(ca), "USER", user, "CREDENTIALS", credentials).
		Replace(kubeconfigTemplate)
	return writeFile(file, []byte(text), 0o600)
}

func (l layout) writeAdminKubeconfig(server, token string) error {
	return l.writeKubeconfig(l.kubeconfig(), server, "admin", "    token: "+token)
}

func (l layout) writeComponentKubeconfigs(server string) error {
	for _, name := range []string{"controller-manager", "scheduler", "node-client"} {
		credentials := fmt.Sprintf("    client-certificate: %q\n    client-key: %q", l.pki(name+".crt"), l.pki(name+".key"))
		if err := l.writeKubeconfig(l.config(name+".kubeconfig"), server, name, credentials); err != nil {
			return err
		}
	}
	return nil
}
