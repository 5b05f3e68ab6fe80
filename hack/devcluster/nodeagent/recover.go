package nodeagent

import (
	"os"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// killLeftovers ends the processes that an agent before this one has left, which are only their children: the processes
// themselves died with the agent.
func killLeftovers(dir string) {
	records, _ := filepath.Glob(filepath.Join(dir, "pods", "*", "*", "record.json"))
	for _, file := range records {
		if r, err := readRecord(file); err == nil && r.Exit == nil {
			r.kill()
		}
	}
}

// leftPods are the pods that have a folder now.
func (a *Agent) leftPods() []types.UID {
	var left []types.UID
	entries, _ := os.ReadDir(filepath.Join(a.config.Dir, "pods"))
	for _, entry := range entries {
		left = append(left, types.UID(entry.Name()))
	}
	return left
}

// removeLeftovers removes the folders of pods that were deleted while no agent ran.
func (a *Agent) removeLeftovers(left []types.UID, known map[types.UID]bool) {
	for _, uid := range left {
		if !known[uid] {
			if err := os.RemoveAll(string(a.podDir(uid))); err != nil {
				klog.ErrorS(err, "Left pod folder was not removed", "uid", uid)
			}
		}
	}
}

// restore takes over a pod that an agent before this one may have worked on: what ended has ended as the API or the record
// says, and what ran is lost.
func (w *worker) restore() {
	status := &w.pod.Status
	if status.StartTime != nil {
		w.startTime = status.StartTime.Time
	}
	for i := range status.Conditions {
		if c := &status.Conditions[i]; c.Type == v1.PodInitialized && c.Status == v1.ConditionTrue {
			w.initialized = true
		}
	}
	known := map[string]*v1.ContainerStatus{}
	for _, list := range [][]v1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses} {
		for i := range list {
			known[list[i].Name] = &list[i]
		}
	}
	for _, c := range w.containers {
		kept, err := readRecord(w.dir.record(c.spec.Name))
		if err != nil {
			kept = nil
		}
		w.restoreContainer(c, known[c.spec.Name], kept)
	}
}

func (w *worker) restoreContainer(c *runner, known *v1.ContainerStatus, kept *processRecord) {
	if known != nil {
		c.restarts, c.id, c.imageID = known.RestartCount, known.ContainerID, known.ImageID
		c.last = *known.LastTerminationState.DeepCopy()
		if known.State.Terminated != nil {
			c.state = *known.State.DeepCopy()
		}
	}
	reported := known != nil && known.State.Terminated != nil && (kept == nil || kept.Restarts <= known.RestartCount)
	switch {
	case reported:
	case kept != nil && kept.Exit != nil:
		c.state, c.restarts = v1.ContainerState{Terminated: kept.Exit}, kept.Restarts
	case kept != nil:
		c.state, c.restarts = lostState(kept.Started, c.id), kept.Restarts
	case known != nil && known.State.Running != nil:
		c.state = lostState(known.State.Running.StartedAt.Time, c.id)
	}
}

func lostState(started time.Time, id string) v1.ContainerState {
	return v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
		ExitCode: 137, Reason: "ContainerStatusUnknown", Message: "The process was lost when the node agent started again",
		StartedAt: metav1.NewTime(started), FinishedAt: metav1.Now(), ContainerID: id,
	}}
}
