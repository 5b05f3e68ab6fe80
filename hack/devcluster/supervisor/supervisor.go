package supervisor

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"rambo.dev/hack/devcluster/internal/spawn"
)

// Main runs "up" and returns its exit code.
func Main(args []string) int {
	options, err := parseOptions(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		spawn.KeepFilesPrivate()
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		defer stop()
		err = run(ctx, options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		return 1
	}
	return 0
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "devcluster: "+format+"\n", args...)
}

// run brings the cluster up, waits for ctx to end, and takes it down again.
func run(ctx context.Context, options *Options) error {
	began := time.Now()
	l := layout{options.Dir}
	if err := l.create(); err != nil {
		return err
	}
	unlock, err := lock(l.path("lock"))
	if err != nil {
		return err
	}
	defer unlock()
	s, err := prepare(l, options)
	if err != nil {
		return err
	}
	defer s.stopAll()
	startCtx, cancel := context.WithTimeout(ctx, options.ReadyTimeout)
	defer cancel()
	if err := s.startAll(startCtx, began); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it was up
		}
		return fmt.Errorf("%w (see %s)", err, l.path("logs"))
	}
	<-ctx.Done()
	say("stopping")
	return nil
}

// lock makes sure that no two supervisors use one folder.
func lock(file string) (func(), error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(portPatience); ; time.Sleep(50 * time.Millisecond) {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return func() { _ = f.Close() }, nil
		}
		if time.Now().After(deadline) {
			_ = f.Close()
			return nil, fmt.Errorf("another devcluster is using this folder (%s: %w)", file, err)
		}
	}
}

type supervisor struct {
	*cluster
	prober *prober
	state  *stateFile

	mu       sync.Mutex
	children []*child
}

// prepare writes keys, ports and configuration; nothing runs yet.
func prepare(l layout, options *Options) (*supervisor, error) {
	if err := ensurePKI(l.path("pki"), options); err != nil {
		return nil, err
	}
	token, err := ensureToken(l.pki("admin.token"), options.AdminToken)
	if err != nil {
		return nil, err
	}
	ports, err := choosePorts(l.path("ports.json"))
	if err != nil {
		return nil, err
	}
	c := &cluster{layout: l, options: options, ports: ports}
	ca, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		return nil, err
	}
	steps := []func() error{
		func() error { return writeFile(l.path("ca.crt"), ca, 0o644) },
		func() error { return l.writeTokenFile(token) },
		func() error { return l.writeComponentKubeconfigs(c.apiServerURL()) },
		func() error { return l.writeAdminKubeconfig(c.apiServerURL(), token) },
		c.writeKubeletConfig,
		l.linkKubectl,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	p, err := c.prober()
	if err != nil {
		return nil, err
	}
	s := &supervisor{cluster: c, prober: p, state: newStateFile(c)}
	s.state.remove() // one left by a killed supervisor
	return s, nil
}

func (s *supervisor) startAll(ctx context.Context, began time.Time) error {
	if err := s.start(s.etcd()); err != nil {
		return err
	}
	if err := s.prober.until(ctx, etcdName, s.etcdURL()+"/health", nil); err != nil {
		return err
	}
	if err := s.start(s.apiServer()); err != nil {
		return err
	}
	if err := s.prober.until(ctx, apiServerName, s.apiServerURL()+"/readyz", nil); err != nil {
		return err
	}
	apiReady := time.Since(began).Milliseconds()
	for _, c := range append(s.node(), s.controllerManager(), s.scheduler()) {
		if err := s.start(c); err != nil {
			return err
		}
	}
	for _, name := range s.options.NodeNames() {
		if err := s.prober.until(ctx, "node "+name, s.apiServerURL()+"/api/v1/nodes/"+name, nodeUsable(began)); err != nil {
			return err
		}
	}
	// Pods cannot be created before the controller manager has made the namespace's service account.
	account := s.apiServerURL() + "/api/v1/namespaces/default/serviceaccounts/default"
	if err := s.prober.until(ctx, controllerManagerName, account, nil); err != nil {
		return err
	}
	ready := time.Since(began).Milliseconds()
	err := s.state.publish(func(st *State) { st.APIReadyMs, st.ReadyMs = apiReady, ready })
	if err != nil {
		return err
	}
	fmt.Printf("ready in %d ms kubeconfig=%s\n", ready, s.kubeconfig())
	return nil
}

func (s *supervisor) start(c *child) error {
	s.mu.Lock()
	s.children = append(s.children, c)
	s.mu.Unlock()
	return c.start(s.log(c.title()), events{
		started: s.state.setPID,
		died: func(name, how string, restartIn time.Duration) {
			say("%s ended (%s), starting it again in %v", name, how, restartIn)
		},
	})
}

// stopAll ends the node first, while the API server can still take its last words, and etcd last.
func (s *supervisor) stopAll() {
	s.state.remove()
	s.mu.Lock()
	defer s.mu.Unlock()
	order := []string{nodeAgentName, kubeletName, proxyName, schedulerName, controllerManagerName, apiServerName, etcdName}
	for _, name := range order {
		for _, c := range s.children {
			if c.name == name {
				c.stop()
			}
		}
	}
}
