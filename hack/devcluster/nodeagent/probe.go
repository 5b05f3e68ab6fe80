package nodeagent

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"rambo.dev/hack/devcluster/internal/spawn"
)

// startProbe runs the container's readiness probe until the returned function is called.
func (w *worker) startProbe(c *runner) func() {
	ctx, cancel := context.WithCancel(context.Background())
	proc, spec, procSpec := c.proc, c.spec.DeepCopy(), c.procSpec
	report := func(ready bool) {
		w.post(func() {
			if c.proc == proc && !w.stopping() {
				c.ready = ready
			}
		})
	}
	go probeLoop(ctx, spec.ReadinessProbe, report, func(ctx context.Context) bool {
		return probeOnce(ctx, spec, &procSpec)
	})
	return cancel
}

// probeLoop reports a change when a result has come as often in a row as the probe's thresholds say.
func probeLoop(ctx context.Context, probe *v1.Probe, report func(bool), check func(context.Context) bool) {
	ready, row, last := false, int32(0), false
	pause := time.Duration(probe.InitialDelaySeconds) * time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = time.Duration(max(probe.PeriodSeconds, 1)) * time.Second
		checkCtx, cancel := context.WithTimeout(ctx, time.Duration(max(probe.TimeoutSeconds, 1))*time.Second)
		result := check(checkCtx)
		cancel()
		if result != last {
			row, last = 0, result
		}
		row++
		needed := max(probe.SuccessThreshold, 1)
		if !result {
			needed = max(probe.FailureThreshold, 1)
		}
		if result != ready && row >= needed {
			ready = result
			report(ready)
		}
	}
}

func probeOnce(ctx context.Context, container *v1.Container, spec *processSpec) bool {
	probe := container.ReadinessProbe
	switch {
	case probe.Exec != nil:
		return probeExec(ctx, probe.Exec.Command, spec)
	case probe.HTTPGet != nil:
		return probeHTTP(ctx, container, probe.HTTPGet)
	case probe.TCPSocket != nil:
		dialer := net.Dialer{}
		conn, err := dialer.DialContext(ctx, "tcp", probeAddress(container, probe.TCPSocket.Host, probe.TCPSocket.Port))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
	return true // a kind of probe that is not emulated must not hold the pod back
}

func probeExec(ctx context.Context, command []string, container *processSpec) bool {
	spec := *container
	spec.argv = nil
	for _, word := range command {
		spec.argv = append(spec.argv, spec.paths.rewrite(word))
	}
	program, err := findProgram(&spec)
	if err != nil {
		return false
	}
	cmd := &exec.Cmd{Path: program, Args: spec.argv, Env: spec.env, Dir: spec.dir}
	if spawn.Start(cmd, syscall.SIGKILL) != nil {
		return false
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
		return err == nil
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		return false
	}
}

// probeClient takes any certificate and does not follow redirects to other hosts, as the kubelet's does not.
var probeClient = &http.Client{
	Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func probeHTTP(ctx context.Context, container *v1.Container, action *v1.HTTPGetAction) bool {
	scheme := strings.ToLower(string(action.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	path := action.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	url := scheme + "://" + probeAddress(container, action.Host, action.Port) + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	for _, header := range action.HTTPHeaders {
		req.Header.Add(header.Name, header.Value)
	}
	res, err := probeClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode >= 200 && res.StatusCode < 400
}

func probeAddress(container *v1.Container, host string, port intstr.IntOrString) string {
	if host == "" {
		host = podAddress
	}
	number := port.IntValue()
	if port.Type == intstr.String {
		for _, p := range container.Ports {
			if p.Name == port.StrVal {
				number = int(p.ContainerPort)
			}
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(number))
}
