package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"rambo.dev/hack/devcluster/internal/spawn"
)

const (
	firstRestartDelay = 100 * time.Millisecond
	lastRestartDelay  = 5 * time.Second
	// steadyAfter is how long a child has to run for its next restart to be quick again.
	steadyAfter = 20 * time.Second
	logLimit    = 32 << 20
)

func itoa(n int) string { return strconv.Itoa(n) }

// child is one component: this program started again under the component's name, and again when it dies.
type child struct {
	name        string
	label       string // in state.json and in the logs folder; the name when empty
	args        []string
	stopGrace   time.Duration
	deathSignal syscall.Signal // what it gets when the supervisor dies; SIGKILL when not set

	cancel context.CancelFunc
	done   chan struct{}
}

// events is what a child tells the supervisor.
type events struct {
	started func(name string, pid int)
	died    func(name, how string, restartIn time.Duration)
}

// title is what people know the child by.
func (c *child) title() string {
	if c.label != "" {
		return c.label
	}
	return c.name
}

// start runs the child until stop is called. The error is that of the first start; later ones are tried again.
func (c *child) start(logFile string, e events) error {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.done = cancel, make(chan struct{})
	cmd, err := c.spawn(logFile)
	if err != nil {
		cancel()
		close(c.done)
		return fmt.Errorf("start %s: %w", c.title(), err)
	}
	e.started(c.title(), cmd.Process.Pid)
	go c.keep(ctx, cmd, logFile, e)
	return nil
}

// stop ends the child and everything it started in its process group.
func (c *child) stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	<-c.done
}

func (c *child) keep(ctx context.Context, cmd *exec.Cmd, logFile string, e events) {
	defer close(c.done)
	delay := firstRestartDelay
	for {
		started := time.Now()
		if c.wait(ctx, cmd) {
			return
		}
		if time.Since(started) > steadyAfter {
			delay = firstRestartDelay
		}
		e.died(c.title(), cmd.ProcessState.String(), delay)
		for cmd = nil; cmd == nil; delay = min(2*delay, lastRestartDelay) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(delay):
			}
			next, err := c.spawn(logFile)
			if err != nil {
				e.died(c.title(), err.Error(), delay)
				continue
			}
			cmd = next
			e.started(c.title(), cmd.Process.Pid)
		}
	}
}

// wait returns when the process has ended: true when that is because ctx is done.
func (c *child) wait(ctx context.Context, cmd *exec.Cmd) bool {
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	select {
	case <-exited:
		return ctx.Err() != nil
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(c.stopGrace):
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
	}
	return true
}

func (c *child) spawn(logFile string) (*exec.Cmd, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(logFile); err == nil && info.Size() > logLimit {
		flags |= os.O_TRUNC
	}
	out, err := os.OpenFile(logFile, flags, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := &exec.Cmd{
		// Not the path of the file: a rebuild may have replaced it, and all parts must come from one build.
		Path: "/proc/self/exe", Args: append([]string{c.name}, c.args...), Env: childEnvironment(),
		Stdout: out, Stderr: out,
	}
	signal := c.deathSignal
	if signal == 0 {
		signal = syscall.SIGKILL
	}
	return cmd, spawn.Start(cmd, signal)
}

// childEnvironment leaves out everything else: ETCD_*, HTTP_PROXY and their like change what the components do.
func childEnvironment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "GOGC", "GOMAXPROCS"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
