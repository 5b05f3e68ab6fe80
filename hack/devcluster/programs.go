package main

import (
	"context"
	"os"
	_ "time/tzdata" // CronJob time zones must work on a machine without tzdata

	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's client auth plugins
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func etcdMain() int {
	etcdmain.Main(os.Args)
	return 0
}

func apiserverMain() int { return cli.Run(apiserver.NewAPIServerCommand()) }

func controllerManagerMain() int { return cli.Run(controllermanager.NewControllerManagerCommand()) }

func schedulerMain() int { return cli.Run(scheduler.NewSchedulerCommand()) }

func kubeletMain() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) }

func proxyMain() int { return cli.Run(proxy.NewProxyCommand()) }

// kubectlMain is upstream's main: the verbosity has to be set before the command is built, and errors are printed in
// kubectl's own way.
func kubectlMain() int {
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	return 0
}
