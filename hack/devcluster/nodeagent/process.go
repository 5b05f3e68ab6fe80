package nodeagent

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"rambo.dev/hack/devcluster/internal/spawn"
)

// drainPatience is how long output is still read after the process has ended: a child that left the process group can hold the
// pipe open for ever.
const drainPatience = 500 * time.Millisecond

// process is a running container.
type process struct {
	pid     int
	started time.Time
	exited  chan struct{} // closed when the process is gone and its output is written

	mu     sync.Mutex
	killer *time.Timer
	killAt time.Time
	reaped bool // from here on the process number may be another process's
}

// exitResult is how a process ended.
type exitResult struct {
	code     int32
	signal   int32
	finished time.Time
}

// startProcess starts the container and calls onExit once, when it has ended.
func startProcess(spec *processSpec, onExit func(*process, exitResult)) (*process, error) {
	program, err := findProgram(spec)
	if err != nil {
		return nil, err
	}
	// Made anew for each run, so that no run reports the message of the one before.
	if err := os.WriteFile(spec.terminationFile, nil, 0o666); err != nil {
		return nil, err
	}
	log, err := openLog(spec.logFile)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: program, Args: spec.argv, Env: spec.env, Dir: spec.dir}
	drain, err := startWithLog(cmd, log)
	if err != nil {
		log.close()
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, started: time.Now(), exited: make(chan struct{})}
	go func() {
		result := p.wait(cmd)
		drain()
		log.close()
		close(p.exited)
		onExit(p, result)
	}()
	return p, nil
}

// startWithLog starts cmd with its output going to log; the returned function waits until all of it is written.
func startWithLog(cmd *exec.Cmd, log *containerLog) (func(), error) {
	var readers, writers []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			_ = f.Close()
		}
	}
	for range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(append(readers, writers...))
			return nil, err
		}
		readers, writers = append(readers, r), append(writers, w)
	}
	cmd.Stdout, cmd.Stderr = writers[0], writers[1]
	err := spawn.Start(cmd, syscall.SIGKILL)
	closeAll(writers)
	if err != nil {
		closeAll(readers)
		return nil, err
	}
	var copying sync.WaitGroup
	for i, stream := range []string{"stdout", "stderr"} {
		copying.Go(func() { log.copy(stream, readers[i]) })
	}
	return func() {
		for _, r := range readers {
			_ = r.SetReadDeadline(time.Now().Add(drainPatience))
		}
		copying.Wait()
		closeAll(readers)
	}, nil
}

// wait returns when the process has ended, after ending what is left of its process group: a container ends with its first
// process. The group is ended before the process is reaped, while its number cannot belong to anybody else.
func (p *process) wait(cmd *exec.Cmd) exitResult {
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	finished := time.Now()
	p.mu.Lock()
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	if p.killer != nil {
		p.killer.Stop()
	}
	p.reaped = true
	p.mu.Unlock()
	_ = cmd.Wait()
	result := exitResult{finished: finished, code: int32(cmd.ProcessState.ExitCode())}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		result.signal = int32(status.Signal())
		result.code = 128 + result.signal
	}
	return result
}

// terminate asks the process group to end and kills it after grace. Called again, it can only shorten the time.
func (p *process) terminate(grace time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := time.Now().Add(grace)
	if p.killer != nil {
		if at.Before(p.killAt) {
			p.killAt = at
			p.killer.Reset(grace)
		}
		return
	}
	p.killAt = at
	p.killer = time.AfterFunc(grace, func() { p.signal(syscall.SIGKILL) })
	if !p.reaped {
		_ = syscall.Kill(-p.pid, syscall.SIGTERM)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.pid, s)
	}
}
