package supervisor

import (
	"fmt"
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
serializeImagePulls: false
podLogsDir: POD_LOGS
clusterDomain: cluster.local
resolvConf: ""
rotateCertificates: false
tlsCertFile: TLS_CERT
tlsPrivateKeyFile: TLS_KEY
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: CLIENT_CA}
authorization: {mode: AlwaysAllow}
`

// proxyConfig leaves the machine's limits of connection tracking as they are: they may not be ours to change.
const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: KUBECONFIG}
hostnameOverride: NODE_NAME
clusterCIDR: POD_CIDR
detectLocalMode: ClusterCIDR
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 100ms, syncPeriod: 30s}
`

// nodeFile names a file or folder of a node.
func nodeFile(i int, name string) string { return fmt.Sprintf("node-%d-%s", i, name) }

func (c *cluster) writeKubeletConfig() error {
	for i, ip := range c.options.NodeIPs {
		text := strings.NewReplacer(
			"NODE_IP", ip, "NODE_PORT", itoa(c.ports["node"]), "SOCKET", c.options.ContainerdSockets[min(i, len(c.options.ContainerdSockets)-1)],
			"POD_LOGS", c.path("node", nodeFile(i, "logs")), "TLS_CERT", c.pki("node.crt"), "TLS_KEY", c.pki("node.key"), "CLIENT_CA", c.pki("ca.crt"),
		).Replace(kubeletConfig)
		if dns := c.options.ClusterDNS; dns != "" {
			text += fmt.Sprintf("clusterDNS: [%s]\n", dns)
		}
		if root := c.options.CgroupRoot; root != "" {
			text += fmt.Sprintf("cgroupRoot: %s/%d\n", root, i)
		}
		if err := writeFile(c.config(nodeFile(i, "kubelet.yaml")), []byte(text), 0o600); err != nil {
			return err
		}
	}
	proxy := strings.NewReplacer("KUBECONFIG", c.config("node-client.kubeconfig"), "NODE_NAME", c.options.NodeName(), "POD_CIDR", c.options.PodCIDR).
		Replace(proxyConfig)
	return writeFile(c.config("kube-proxy.yaml"), []byte(proxy), 0o600)
}

// kubelets are the nodes. They share one identity: what they may do is not what this cluster is for.
func (c *cluster) kubelets() []*child {
	var nodes []*child
	for i, name := range c.options.NodeNames() {
		args := []string{
			"--config=" + c.config(nodeFile(i, "kubelet.yaml")), "--kubeconfig=" + c.config("node-client.kubeconfig"),
			"--root-dir=" + c.path("node", nodeFile(i, "kubelet")), "--cert-dir=" + c.path("node", nodeFile(i, "pki")),
			"--hostname-override=" + name, "--node-ip=" + c.options.NodeIPs[i],
		}
		label := kubeletName
		if i > 0 {
			label = fmt.Sprintf("%s-%d", kubeletName, i)
		}
		nodes = append(nodes, &child{name: kubeletName, label: label, args: args, stopGrace: 10 * time.Second})
	}
	return nodes
}

// proxy has Services work: pods reach them, and the API server as 10.96.0.1, by rules it writes into this network namespace.
func (c *cluster) proxy() *child {
	return &child{name: proxyName, args: []string{"--config=" + c.config("kube-proxy.yaml")}, stopGrace: 3 * time.Second}
}
