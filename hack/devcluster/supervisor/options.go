// Package supervisor runs a Kubernetes control plane and one node as child processes of one foreground program.
package supervisor

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The two ways to run pods.
const (
	NodeProcess = "process"
	NodeKubelet = "kubelet"
)

// Options are the flags of "up".
type Options struct {
	Dir           string
	Node          string
	ImageMap      string
	AdminToken    string
	UnsafeNoFsync bool
	LeaseInterval time.Duration
	ReadyTimeout  time.Duration
	BindAddress   string
	// NodeIPs has one address for each node, ContainerdSockets its containerd.
	NodeIPs           []string
	ContainerdSockets []string
	ClusterDNS        string
	PodCIDR           string
	CgroupRoot        string
	APIServerArgs     []string
}

type stringList []string

func (l *stringList) String() string     { return strings.Join(*l, " ") }
func (l *stringList) Set(v string) error { *l = append(*l, v); return nil }

func parseOptions(args []string, errOut io.Writer) (*Options, error) {
	o := &Options{}
	fs := flag.NewFlagSet("up", flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.StringVar(&o.Dir, "dir", "", "folder for data, keys, logs, kubeconfig and state.json (required)")
	fs.StringVar(&o.Node, "node", NodeProcess, "how pods run: process or kubelet")
	fs.StringVar(&o.ImageMap, "image-map", "", "JSON file saying which images the process node has (default: local/* only)")
	fs.StringVar(&o.AdminToken, "admin-token", "", "token of the admin user (default: a random one, kept in the folder)")
	fs.BoolVar(&o.UnsafeNoFsync, "unsafe-no-fsync", false, "etcd does not sync to disk: for tests only")
	fs.DurationVar(&o.LeaseInterval, "lease-interval", 10*time.Second, "how often the process node renews its lease")
	fs.DurationVar(&o.ReadyTimeout, "ready-timeout", 90*time.Second, "give up when the cluster is not ready in this time")
	fs.StringVar(&o.BindAddress, "bind-address", "127.0.0.1", "address of the API server")
	nodeIPs := fs.String("node-ip", "127.0.0.1", "address of the kubelet; with commas those of several nodes (--node kubelet only)")
	sockets := fs.String("containerd-socket", "/run/containerd/containerd.sock", "socket of a running containerd, one for each node (--node kubelet only)")
	fs.StringVar(&o.ClusterDNS, "cluster-dns", "", "address of the DNS server of pods (--node kubelet only; default: the machine's)")
	fs.StringVar(&o.PodCIDR, "pod-cidr", "10.244.0.0/16", "addresses of pods, as the CNI configuration gives them (--node kubelet only)")
	fs.StringVar(&o.CgroupRoot, "cgroup-root", "", "an existing cgroup below which pods get theirs (--node kubelet only)")
	fs.Var((*stringList)(&o.APIServerArgs), "apiserver-arg", "one more argument for the API server; may be repeated")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	o.NodeIPs, o.ContainerdSockets = strings.Split(*nodeIPs, ","), strings.Split(*sockets, ",")
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, o.complete()
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("--dir is required")
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}
	if o.ImageMap != "" {
		if o.ImageMap, err = filepath.Abs(o.ImageMap); err != nil {
			return err
		}
	}
	if strings.ContainsAny(o.AdminToken, ",\"\r\n ") {
		return errors.New("--admin-token must not contain commas, quotes or white space")
	}
	switch o.Node {
	case NodeProcess:
		return nil
	case NodeKubelet:
		return o.checkKubelet()
	default:
		return fmt.Errorf("--node must be %s or %s, not %q", NodeProcess, NodeKubelet, o.Node)
	}
}

// checkKubelet fails early and clearly: a kubelet without its runtime only says so in its log, over and over.
func (o *Options) checkKubelet() error {
	if os.Geteuid() != 0 {
		return errors.New("--node kubelet needs root (the kubelet mounts volumes and writes cgroups); use --node process otherwise")
	}
	if len(o.NodeIPs) != len(o.ContainerdSockets) {
		return fmt.Errorf("--node-ip has %d addresses and --containerd-socket %d sockets: one of each for every node", len(o.NodeIPs), len(o.ContainerdSockets))
	}
	for _, socket := range o.ContainerdSockets {
		info, err := os.Stat(socket)
		if err != nil {
			return fmt.Errorf("--node kubelet needs a running containerd: %w (install and start it, or pass --containerd-socket)", err)
		}
		if info.Mode()&os.ModeSocket == 0 {
			return fmt.Errorf("--containerd-socket %s is not a socket", socket)
		}
	}
	return nil
}

// NodeName is the name of the cluster's first node, the only one of a process node.
func (o *Options) NodeName() string { return o.NodeNames()[0] }

// NodeNames are the names of all nodes.
func (o *Options) NodeNames() []string {
	names := make([]string, len(o.NodeIPs))
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", o.Node, i)
	}
	return names
}
