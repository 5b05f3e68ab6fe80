package nodeagent

import (
	"bytes"
	"io"
	"os"
	"syscall"

	v1 "k8s.io/api/core/v1"
)

// The kubelet's limits for termination messages.
const (
	messageLimit         = 4096
	messageFromLogsLimit = 2048
	messageFromLogsLines = 80
)

// terminationMessage reads what a container left behind: the end of its termination log or, when that is empty, the policy says
// so and it failed, the end of its output.
func terminationMessage(container *v1.Container, spec *processSpec, exitCode int32) string {
	message := fileEnd(spec.terminationFile, messageLimit)
	if message != "" || exitCode == 0 || container.TerminationMessagePolicy != v1.TerminationMessageFallbackToLogsOnError {
		return message
	}
	return logsEnd(spec.logFile)
}

// fileEnd returns the last bytes of a file. The process owns that file: a link could lead to any file of this machine and a
// pipe would never end, so only a plain file is read.
func fileEnd(name string, limit int64) string {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	data := make([]byte, min(info.Size(), limit))
	n, err := f.ReadAt(data, max(0, info.Size()-limit))
	if err != nil && err != io.EOF {
		return ""
	}
	return string(data[:n])
}

func logsEnd(logFile string) string {
	// Each line of the file has a prefix of 50 bytes at most.
	raw := fileEnd(logFile, messageFromLogsLimit+messageFromLogsLines*64)
	lines := bytes.SplitAfter([]byte(raw), []byte("\n"))
	if len(lines) > messageFromLogsLines+1 { // the last element is empty
		lines = lines[len(lines)-messageFromLogsLines-1:]
	}
	var text []byte
	for _, line := range lines {
		if entry, ok := parseLogLine(line); ok {
			text = append(text, entry.text...)
		}
	}
	if len(text) > messageFromLogsLimit {
		text = text[len(text)-messageFromLogsLimit:]
	}
	return string(text)
}
