package nodeagent

import (
	"bufio"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

const (
	logFileLimit = 10 << 20
	logLineLimit = 16 << 10
	// logTime has a fixed width, so that log lines can be compared as text.
	logTime = "2006-01-02T15:04:05.000000000Z07:00"
)

// containerLog writes a container's output in the CRI log format: time, stream, F (full) or P (partial) and the text. A file
// that is full becomes file.1, replacing the one before.
type containerLog struct {
	mu   sync.Mutex
	name string
	out  *os.File
	size int64
}

// openLog begins a new log; the one of the run before is kept as file.previous.
func openLog(name string) (*containerLog, error) {
	if _, err := os.Stat(name); err == nil {
		_ = os.Rename(name, previousLog(name))
		_ = os.Remove(name + ".1")
	}
	out, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	return &containerLog{name: name, out: out}, err
}

func previousLog(name string) string { return name + ".previous" }

func (l *containerLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.out.Close()
}

// copy writes what comes from in until its end.
func (l *containerLog) copy(stream string, in io.Reader) {
	reader := bufio.NewReaderSize(in, logLineLimit)
	var entry []byte
	for {
		line, err := reader.ReadSlice('\n')
		if len(line) > 0 {
			tag := " F "
			if errors.Is(err, bufio.ErrBufferFull) {
				tag = " P "
			}
			entry = time.Now().UTC().AppendFormat(entry[:0], logTime)
			entry = append(entry, ' ')
			entry = append(entry, stream...)
			entry = append(entry, tag...)
			entry = append(entry, line...)
			if line[len(line)-1] != '\n' {
				entry = append(entry, '\n')
			}
			l.write(entry)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (l *containerLog) write(entry []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+int64(len(entry)) > logFileLimit {
		l.rotate()
	}
	n, _ := l.out.Write(entry) // a full disk must not stop the process from being read
	l.size += int64(n)
}

func (l *containerLog) rotate() {
	if os.Rename(l.name, l.name+".1") != nil {
		return
	}
	out, err := os.OpenFile(l.name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	_ = l.out.Close()
	l.out, l.size = out, 0
}
