// Package spawn starts child processes that cannot outlive this one.
package spawn

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

type request struct {
	cmd  *exec.Cmd
	done chan error
}

var (
	once     sync.Once
	requests = make(chan request)
)

// Start starts cmd in its own process group and has the kernel send it deathSignal when this process ends, however it ends.
//
// The kernel ties that signal to the thread that forked, not to the process, and the Go runtime ends threads at will. So all
// children are forked by one goroutine that holds its thread for ever.
func Start(cmd *exec.Cmd, deathSignal syscall.Signal) error {
	once.Do(func() { go serve() })
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = deathSignal
	r := request{cmd: cmd, done: make(chan error, 1)}
	requests <- r
	return <-r.done
}

// KeepFilesPrivate has no child inherit the files that were open when this program started, besides the standard three: a pipe
// of the caller's held open by a pod would have its reader wait for ever.
func KeepFilesPrivate() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

func serve() {
	runtime.LockOSThread()
	for r := range requests {
		r.done <- r.cmd.Start()
	}
}
