package supervisor

import (
	"strings"
	"time"
)

// kubeletConfig keeps to what a container without all of root's rights allows: no cgroup of its own to enforce, cgroup v1 or
// v2, no swap check.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: NODE_IP
port: NODE_PORT
readOnlyPort: 0
healthzPort: 0
containerRuntimeEndpoint: unix://SOCKET
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
rotateCertificates: false
tlsCertFile: TLS_CERT
tlsPrivateKeyFile: TLS_KEY
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: CLIENT_CA}
authorization: {mode: AlwaysAllow}
`

func (c *cluster) writeKubeletConfig() error {
	text := strings.NewReplacer(
		"NODE_IP", c.options.NodeIP, "NODE_PORT", itoa(c.ports["node"]), "SOCKET", c.options.ContainerdSocket,
		"TLS_CERT", c.pki("node.crt"), "TLS_KEY", c.pki("node.key"), "CLIENT_CA", c.pki("ca.crt"),
	).Replace(kubeletConfig)
	return writeFile(c.config("kubelet.yaml"), []byte(text), 0o600)
}

func (c *cluster) kubelet() *child {
	args := []string{
		"--config=" + c.config("kubelet.yaml"), "--kubeconfig=" + c.config("node-client.kubeconfig"),
		"--root-dir=" + c.path("node", "kubelet"), "--cert-dir=" + c.path("node", "kubelet-pki"),
		"--hostname-override=" + c.options.NodeName(), "--node-ip=" + c.options.NodeIP,
	}
	return &child{name: kubeletName, args: args, stopGrace: 10 * time.Second}
}
