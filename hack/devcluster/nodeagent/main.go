// Package nodeagent is a small stand-in for the kubelet: it registers a node and runs the pods bound to it as local processes.
// There are no containers in it; README.md says what that leaves out.
package nodeagent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

// Config is what an Agent needs to know.
type Config struct {
	Kubeconfig    string
	Dir           string
	NodeName      string
	Version       string
	ImageMap      string
	Port          int
	TLSCert       string
	TLSKey        string
	ClientCA      string
	LeaseInterval time.Duration
	// RestartBackoff is the pause before a container's second restart (the first one has none); it doubles up to
	// RestartBackoffMax. The kubelet starts at 10 s; tests would wait too long for that.
	RestartBackoff    time.Duration
	RestartBackoffMax time.Duration
}

// Main runs the agent and returns its exit code.
func Main(args []string) int {
	c := Config{}
	fs := flag.NewFlagSet("node-agent", flag.ContinueOnError)
	fs.StringVar(&c.Kubeconfig, "kubeconfig", "", "credentials for the API server")
	fs.StringVar(&c.Dir, "dir", "", "folder for the pods' files")
	fs.StringVar(&c.NodeName, "node-name", "process-0", "name of the node")
	fs.StringVar(&c.Version, "version", "v1.35.4", "Kubernetes version to report")
	fs.StringVar(&c.ImageMap, "image-map", "", "JSON file with the images this node has (default: local/* only)")
	fs.IntVar(&c.Port, "port", 0, "port of the log endpoint")
	fs.StringVar(&c.TLSCert, "tls-cert", "", "certificate of the log endpoint")
	fs.StringVar(&c.TLSKey, "tls-key", "", "key of the log endpoint")
	fs.StringVar(&c.ClientCA, "client-ca", "", "CA that the log endpoint's clients must be signed by")
	fs.DurationVar(&c.LeaseInterval, "lease-interval", 10*time.Second, "how often the node lease is renewed")
	fs.DurationVar(&c.RestartBackoff, "restart-backoff", time.Second, "pause before the second restart of a container")
	fs.DurationVar(&c.RestartBackoffMax, "restart-backoff-max", 5*time.Minute, "longest pause before a restart")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := Run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "node-agent:", err)
		klog.Flush()
		return 1
	}
	return 0
}
