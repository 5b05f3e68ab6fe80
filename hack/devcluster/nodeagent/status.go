package nodeagent

import (
	"fmt"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// containerKind is the part a container has in its pod.
type containerKind int

const (
	initContainer containerKind = iota
	sidecarContainer
	mainContainer
)

// container is what the agent knows about one container of a pod, over all its restarts.
type container struct {
	spec *v1.Container
	kind containerKind

	state, last v1.ContainerState // an empty state: not tried yet
	restarts    int32
	ready       bool
	id          string
	imageID     string
}

func (c *container) running() bool { return c.state.Running != nil }

// lastRun is how the last run ended, also while the next one is waited for; nil while running and before the first run.
func (c *container) lastRun() *v1.ContainerStateTerminated {
	if c.state.Terminated != nil {
		return c.state.Terminated
	}
	if c.state.Running == nil {
		return c.last.Terminated
	}
	return nil
}

// restartable says whether the pod's restart policy wants the container started again after exitCode.
func restartable(pod *v1.Pod, c *container, exitCode int32) bool {
	policy := pod.Spec.RestartPolicy
	switch {
	case c.kind == sidecarContainer:
		return true
	case c.kind == initContainer:
		return exitCode != 0 && policy != v1.RestartPolicyNever
	}
	if own := c.spec.RestartPolicy; own != nil {
		policy = v1.RestartPolicy(*own)
	}
	return policy == v1.RestartPolicyAlways || policy == v1.RestartPolicyOnFailure && exitCode != 0
}

// statusInput is what a pod's status is made from.
type statusInput struct {
	pod         *v1.Pod
	containers  []*container
	startTime   time.Time
	initialized bool
	sandbox     bool // volumes are there, nothing stands in the way of a start
	stopped     bool // the pod is being deleted and all its processes are gone
	deadline    bool // activeDeadlineSeconds are over
	previous    []v1.PodCondition
}

// podStatus writes the status as the kubelet does.
func podStatus(in statusInput) v1.PodStatus {
	start := metav1.NewTime(in.startTime)
	status := v1.PodStatus{
		ObservedGeneration: in.pod.Generation,
		Phase:              podPhase(in), StartTime: &start,
		HostIP: podAddress, HostIPs: []v1.HostIP{{IP: podAddress}},
	}
	if in.sandbox {
		status.PodIP, status.PodIPs = podAddress, []v1.PodIP{{IP: podAddress}}
	}
	if in.deadline {
		status.Reason = "DeadlineExceeded"
		status.Message = "Pod was active on the node longer than the specified deadline"
	}
	hasInit := len(in.pod.Spec.InitContainers) > 0
	for _, c := range in.containers {
		s := containerStatus(c, hasInit && !in.initialized)
		if c.kind == mainContainer {
			status.ContainerStatuses = append(status.ContainerStatuses, s)
		} else {
			status.InitContainerStatuses = append(status.InitContainerStatuses, s)
		}
	}
	status.Conditions = podConditions(in, status.Phase)
	return status
}

func containerStatus(c *container, initializing bool) v1.ContainerStatus {
	started := c.running()
	s := v1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: c.imageID, ContainerID: c.id, RestartCount: c.restarts,
		State: c.state, LastTerminationState: c.last, Ready: c.ready, Started: &started,
	}
	if c.kind == initContainer {
		s.Ready = c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
	}
	if s.State == (v1.ContainerState{}) {
		reason := "ContainerCreating"
		if initializing {
			reason = "PodInitializing"
		}
		s.State.Waiting = &v1.ContainerStateWaiting{Reason: reason}
	}
	return s
}

// podPhase follows the kubelet's getPhase.
func podPhase(in statusInput) v1.PodPhase {
	if in.deadline {
		return v1.PodFailed
	}
	if old := in.pod.Status.Phase; old == v1.PodSucceeded || old == v1.PodFailed {
		return old // a terminal phase never changes
	}
	phase := livePhase(in)
	if in.stopped && phase != v1.PodSucceeded {
		return v1.PodFailed // deleted before it was done
	}
	return phase
}

func livePhase(in statusInput) v1.PodPhase {
	if !in.initialized {
		if anyRunning(in.containers) {
			return v1.PodPending // a failed pod's sidecars end first
		}
		for _, c := range in.containers {
			if run := c.lastRun(); c.kind == initContainer && run != nil && run.ExitCode != 0 && !restartable(in.pod, c, run.ExitCode) {
				return v1.PodFailed
			}
		}
		return v1.PodPending
	}
	var running, waiting, again, failed int
	for _, c := range in.containers {
		switch run := c.lastRun(); {
		case c.kind == initContainer:
		case c.running():
			running++
		case c.kind == sidecarContainer:
		case run == nil:
			waiting++
		case restartable(in.pod, c, run.ExitCode):
			again++
		case run.ExitCode != 0:
			failed++
		}
	}
	switch {
	case waiting > 0:
		return v1.PodPending
	case running > 0 || again > 0:
		return v1.PodRunning
	case failed > 0:
		return v1.PodFailed
	default:
		return v1.PodSucceeded
	}
}

func anyRunning(containers []*container) bool {
	for _, c := range containers {
		if c.running() {
			return true
		}
	}
	return false
}

func podConditions(in statusInput, phase v1.PodPhase) []v1.PodCondition {
	var unready, uninitialized []string
	for _, c := range in.containers {
		switch {
		case c.kind == initContainer:
			if !in.initialized && (c.state.Terminated == nil || c.state.Terminated.ExitCode != 0) {
				uninitialized = append(uninitialized, c.spec.Name)
			}
		case !c.ready:
			unready = append(unready, c.spec.Name)
		}
	}
	done := map[v1.PodPhase]string{v1.PodSucceeded: "PodCompleted", v1.PodFailed: "PodFailed"}[phase]
	initialized := condition(v1.PodInitialized, in.initialized, "ContainersNotInitialized", "containers with incomplete status: ", uninitialized)
	if phase == v1.PodSucceeded {
		initialized.Reason = done
	}
	ready := condition(v1.ContainersReady, len(unready) == 0, "ContainersNotReady", "containers with unready status: ", unready)
	if done != "" {
		ready.Status, ready.Reason, ready.Message = v1.ConditionFalse, done, ""
	}
	podReady := ready
	podReady.Type = v1.PodReady
	if gate := closedGate(in.pod); gate != "" && ready.Status == v1.ConditionTrue {
		podReady.Status, podReady.Reason = v1.ConditionFalse, "ReadinessGatesNotReady"
		podReady.Message = fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist or is not True.", gate)
	}
	sandbox := condition(v1.PodReadyToStartContainers, in.sandbox && done == "", "", "", nil)
	all := []v1.PodCondition{sandbox, initialized, podReady, ready}
	for i := range all {
		all[i].ObservedGeneration = in.pod.Generation
		all[i].LastTransitionTime = transitionTime(&all[i], in.previous)
	}
	return all
}

func condition(kind v1.PodConditionType, ok bool, reason, message string, names []string) v1.PodCondition {
	c := v1.PodCondition{Type: kind, Status: v1.ConditionTrue}
	if !ok {
		c.Status, c.Reason = v1.ConditionFalse, reason
		if message != "" {
			c.Message = fmt.Sprintf("%s[%s]", message, strings.Join(names, " "))
		}
	}
	return c
}

func transitionTime(c *v1.PodCondition, previous []v1.PodCondition) metav1.Time {
	for i := range previous {
		if previous[i].Type == c.Type && previous[i].Status == c.Status {
			return previous[i].LastTransitionTime
		}
	}
	return metav1.Now()
}

// closedGate returns the first readiness gate that nobody has opened yet.
func closedGate(pod *v1.Pod) string {
	for _, gate := range pod.Spec.ReadinessGates {
		open := false
		for _, c := range pod.Status.Conditions {
			open = open || c.Type == gate.ConditionType && c.Status == v1.ConditionTrue
		}
		if !open {
			return string(gate.ConditionType)
		}
	}
	return ""
}
