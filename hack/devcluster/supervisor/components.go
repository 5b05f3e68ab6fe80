package supervisor

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Names of the components, as they appear in state.json and in the logs folder.
const (
	etcdName              = "etcd"
	apiServerName         = "kube-apiserver"
	controllerManagerName = "kube-controller-manager"
	schedulerName         = "kube-scheduler"
	nodeAgentName         = "node-agent"
	kubeletName           = "kubelet"
	proxyName             = "kube-proxy"
)

// kubernetesVersion is what the node agent reports; build.sh stamps the same version into the components.
const kubernetesVersion = "v1.35.4"

// tokenIssuer is what service account tokens name as their issuer.
const tokenIssuer = "https://kubernetes.default.svc"

// idleControllers have nothing to do on a cluster without volumes, cloud, certificate requests or autoscaling; each one left
// out saves memory, watches and start time.
var idleControllers = []string{
	"node-ipam-controller", "horizontal-pod-autoscaler-controller", "persistentvolume-attach-detach-controller", "persistentvolume-expander-controller",
	"ephemeral-volume-controller", "certificatesigningrequest-signing-controller", "certificatesigningrequest-approving-controller",
	"certificatesigningrequest-cleaner-controller", "podcertificaterequest-cleaner-controller", "ttl-controller",
	"replicationcontroller-controller", "endpointslice-mirroring-controller", "storageversion-garbage-collector-controller",
	"resourceclaim-controller", "legacy-serviceaccount-token-cleaner-controller", "selinux-warning-controller",
	"device-taint-eviction-controller", "volumeattributesclass-protection-controller", "storage-version-migrator-controller",
}

// volumeControllers are idle on a process node, which has no persistent volumes. On a kubelet claims are bound to volumes that
// somebody made.
var volumeControllers = []string{"persistentvolume-binder-controller", "persistentvolume-protection-controller"}

// cluster is what the components' arguments are made from.
type cluster struct {
	layout
	options *Options
	ports   map[string]int
}

func (c *cluster) apiServerURL() string {
	return "https://" + net.JoinHostPort(c.options.BindAddress, itoa(c.ports["apiServer"]))
}

func (c *cluster) etcdURL() string { return fmt.Sprintf("https://127.0.0.1:%d", c.ports["etcd"]) }

func (c *cluster) etcd() *child {
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.ports["etcdPeer"])
	args := []string{
		"--name=devcluster", "--data-dir=" + c.path("etcd"), "--log-level=warn",
		"--listen-client-urls=" + c.etcdURL(), "--advertise-client-urls=" + c.etcdURL(),
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=devcluster=" + peer,
		"--cert-file=" + c.pki("etcd.crt"), "--key-file=" + c.pki("etcd.key"),
		"--trusted-ca-file=" + c.pki("ca.crt"), "--client-cert-auth",
		// A member alone has nobody to wait for: it need not sit out the usual second before it elects itself.
		"--heartbeat-interval=50", "--election-timeout=500",
		"--quota-backend-bytes=8589934592",
	}
	if c.options.UnsafeNoFsync {
		args = append(args, "--unsafe-no-fsync")
	}
	return &child{name: etcdName, args: args, stopGrace: 5 * time.Second}
}

func (c *cluster) apiServer() *child {
	args := []string{
		"--bind-address=" + c.options.BindAddress, "--secure-port=" + itoa(c.ports["apiServer"]),
		"--advertise-address=" + c.options.BindAddress, "--endpoint-reconciler-type=" + c.endpointReconciler(),
		"--tls-cert-file=" + c.pki("apiserver.crt"), "--tls-private-key-file=" + c.pki("apiserver.key"),
		"--client-ca-file=" + c.pki("ca.crt"), "--token-auth-file=" + c.pki("tokens.csv"), "--authorization-mode=RBAC",
		"--etcd-servers=" + c.etcdURL(), "--etcd-cafile=" + c.pki("ca.crt"),
		"--etcd-certfile=" + c.pki("etcd-client.crt"), "--etcd-keyfile=" + c.pki("etcd-client.key"),
		"--service-account-issuer=" + tokenIssuer, "--api-audiences=" + tokenIssuer,
		"--service-account-key-file=" + c.pki("sa.pub"), "--service-account-signing-key-file=" + c.pki("sa.key"),
		"--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true",
		"--kubelet-client-certificate=" + c.pki("kubelet-client.crt"), "--kubelet-client-key=" + c.pki("kubelet-client.key"),
		"--kubelet-certificate-authority=" + c.pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--profiling=false", "--shutdown-delay-duration=0s",
	}
	return &child{name: apiServerName, args: append(args, c.options.APIServerArgs...), stopGrace: 5 * time.Second}
}

// endpointReconciler has the API server name itself as the endpoint of the Service `kubernetes`, where there is a proxy to use
// it. Endpoints on loopback are refused.
func (c *cluster) endpointReconciler() string {
	if c.options.Node == NodeKubelet {
		return "lease"
	}
	return "none"
}

func (c *cluster) controllerManager() *child {
	idle := idleControllers
	if c.options.Node == NodeProcess {
		idle = slices.Concat(idle, volumeControllers)
	}
	args := []string{
		"--kubeconfig=" + c.config("controller-manager.kubeconfig"), "--controllers=*,-" + strings.Join(idle, ",-"),
		"--root-ca-file=" + c.pki("ca.crt"), "--service-account-private-key-file=" + c.pki("sa.key"),
		"--use-service-account-credentials=false", "--leader-elect=false", "--profiling=false", "--secure-port=0",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
	return &child{name: controllerManagerName, args: args, stopGrace: 3 * time.Second}
}

func (c *cluster) scheduler() *child {
	args := []string{
		"--kubeconfig=" + c.config("scheduler.kubeconfig"), "--leader-elect=false", "--profiling=false", "--secure-port=0",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
	return &child{name: schedulerName, args: args, stopGrace: 3 * time.Second}
}

func (c *cluster) nodeAgent() *child {
	args := []string{
		"--kubeconfig=" + c.config("node-client.kubeconfig"), "--dir=" + c.path("node"), "--node-name=" + c.options.NodeName(),
		"--version=" + kubernetesVersion, "--port=" + itoa(c.ports["node"]),
		"--tls-cert=" + c.pki("node.crt"), "--tls-key=" + c.pki("node.key"), "--client-ca=" + c.pki("ca.crt"),
		"--lease-interval=" + c.options.LeaseInterval.String(),
	}
	if c.options.ImageMap != "" {
		args = append(args, "--image-map="+c.options.ImageMap)
	}
	// SIGTERM, where the others get SIGKILL when the supervisor dies: the agent has processes of its own to end.
	return &child{name: nodeAgentName, args: args, stopGrace: 6 * time.Second, deathSignal: syscall.SIGTERM}
}

// node lists what runs pods.
func (c *cluster) node() []*child {
	if c.options.Node == NodeKubelet {
		return append(c.kubelets(), c.proxy())
	}
	return []*child{c.nodeAgent()}
}
