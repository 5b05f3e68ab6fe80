// Command rambo-devcluster is a whole Kubernetes control plane in one program: the real etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, kubelet and kubectl, a small node agent that runs pods as local processes, and a
// supervisor ("up") that starts them together. See README.md.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"rambo.dev/hack/devcluster/nodeagent"
	"rambo.dev/hack/devcluster/supervisor"
)

// programs maps a subcommand to its main function. Each one reads os.Args with its own name at index 0, as the separate
// upstream programs do.
var programs = map[string]func() int{
	"etcd":                    etcdMain,
	"kube-apiserver":          apiserverMain,
	"kube-controller-manager": controllerManagerMain,
	"kube-scheduler":          schedulerMain,
	"kubelet":                 kubeletMain,
	"kube-proxy":              proxyMain,
	"kubectl":                 kubectlMain,
	"node-agent":              func() int { return nodeagent.Main(os.Args[1:]) },
	"up":                      func() int { return supervisor.Main(os.Args[1:]) },
}

func main() {
	// A symlink named like a program (kubectl -> rambo-devcluster) is that program; so are the supervisor's children, which
	// are this file started again under the name of the component.
	if run, ok := programs[filepath.Base(os.Args[0])]; ok {
		os.Exit(run())
	}
	if len(os.Args) < 2 {
		usage(os.Stderr)
		os.Exit(2)
	}
	name := os.Args[1]
	if run, ok := programs[name]; ok {
		os.Args = os.Args[1:]
		os.Exit(run())
	}
	switch name {
	case "help", "-h", "--help":
		usage(os.Stdout)
	default:
		fmt.Fprintf(os.Stderr, "rambo-devcluster: unknown command %q\n", name)
		usage(os.Stderr)
		os.Exit(2)
	}
}

func usage(w io.Writer) {
	names := make([]string, 0, len(programs))
	for name := range programs {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintf(w, "usage: rambo-devcluster <command> [flags]\ncommands: %s\n\"up --help\" lists the flags of the supervisor.\n",
		strings.Join(names, ", "))
}
