package nodeagent

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
)

// processRecord is what an agent leaves for the one after it about a container: which process it started, and how that ended.
type processRecord struct {
	PID       int                          `json:"pid"`
	StartTick uint64                       `json:"startTick"`
	Boot      string                       `json:"boot"`
	Started   time.Time                    `json:"started"`
	Restarts  int32                        `json:"restarts"`
	Exit      *v1.ContainerStateTerminated `json:"exit,omitempty"`
}

func bootID() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(data))
}

// startTick is when the process began, in ticks since boot: with the boot, it tells a process from a later one of the same number.
func startTick(pid int) (uint64, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// The second field is the program's name in parentheses and may have anything in it.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	const startTimeField = 22 - 3 // counted from the third field
	if len(fields) <= startTimeField {
		return 0, false
	}
	tick, err := strconv.ParseUint(string(fields[startTimeField]), 10, 64)
	return tick, err == nil
}

func (r *processRecord) write(file string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

func readRecord(file string) (*processRecord, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &processRecord{}
	return r, json.Unmarshal(data, r)
}

// kill ends what is left of the process group that the record tells of.
func (r *processRecord) kill() {
	if r.PID <= 1 || r.Boot != bootID() {
		return
	}
	if tick, alive := startTick(r.PID); alive && tick != r.StartTick {
		return // the number went to another process, so the group is long gone
	}
	_ = syscall.Kill(-r.PID, syscall.SIGKILL)
}
