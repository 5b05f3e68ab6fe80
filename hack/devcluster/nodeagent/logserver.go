package nodeagent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// apiServerName is the common name of the certificate by which the API server makes itself known to kubelets.
const apiServerName = "kube-apiserver-kubelet-client"

// serveLogs serves the part of the kubelet's API that "kubectl logs" needs, to the API server alone.
func (a *Agent) serveLogs() (func(), error) {
	cert, err := tls.LoadX509KeyPair(a.config.TLSCert, a.config.TLSKey)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(a.config.ClientCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	listener, err := tls.Listen("tcp", net.JoinHostPort(podAddress, strconv.Itoa(a.config.Port)), &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		VerifyConnection: func(state tls.ConnectionState) error {
			if name := state.PeerCertificates[0].Subject.CommonName; name != apiServerName {
				return fmt.Errorf("%q may not use this endpoint", name)
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", a.containerLogs)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			klog.ErrorS(err, "Log endpoint ended")
		}
	}()
	return func() { _ = server.Close() }, nil
}

func (a *Agent) containerLogs(out http.ResponseWriter, req *http.Request) {
	namespace, pod, name := req.PathValue("namespace"), req.PathValue("pod"), req.PathValue("container")
	options, err := parseLogOptions(req.URL.Query(), time.Now())
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	w := a.findWorker(namespace, pod)
	if w == nil {
		http.Error(out, fmt.Sprintf("pod %q not found", pod), http.StatusNotFound)
		return
	}
	status := w.containerStatus(name)
	if status == nil {
		http.Error(out, fmt.Sprintf("container %q in pod %q is not available", name, pod), http.StatusBadRequest)
		return
	}
	if waiting := status.State.Waiting; waiting != nil && status.LastTerminationState.Terminated == nil {
		http.Error(out, fmt.Sprintf("container %q in pod %q is waiting to start: %s", name, pod, waiting.Reason), http.StatusBadRequest)
		return
	}
	out.Header().Set("Content-Type", "text/plain")
	running := func() bool {
		now := w.containerStatus(name)
		return now != nil && now.State.Running != nil && a.worker(w.uid) == w
	}
	flush := func() { _ = http.NewResponseController(out).Flush() }
	err = copyLogs(req.Context(), w.dir.log(name), options, running, out, flush)
	if errors.Is(err, fs.ErrNotExist) {
		kind := ""
		if options.previous {
			kind = "previous terminated "
		}
		http.Error(out, fmt.Sprintf("%scontainer %q in pod %q not found", kind, name, pod), http.StatusBadRequest)
	}
}

// findWorker prefers a pod that lives over one of the same name that is on its way out.
func (a *Agent) findWorker(namespace, name string) *worker {
	var found *worker
	for _, w := range a.allWorkers() {
		if w.namespace == namespace && w.name == name && (found == nil || found.startTime.Before(w.startTime)) {
			found = w
		}
	}
	return found
}

// containerStatus is what was last reported about a container.
func (w *worker) containerStatus(name string) *v1.ContainerStatus {
	status := w.published.Load()
	if status == nil {
		return nil
	}
	for _, list := range [][]v1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}
