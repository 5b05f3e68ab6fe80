package nodeagent

import (
	"encoding/json"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func running() v1.ContainerState {
	return v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.Now()}}
}

func ended(code int32) v1.ContainerState {
	return v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: code}}
}

func waiting(reason string) v1.ContainerState {
	return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason}}
}

func part(kind containerKind, state, last v1.ContainerState) *container {
	return &container{spec: &v1.Container{Name: "c"}, kind: kind, state: state, last: last, ready: state.Running != nil}
}

func TestPhase(t *testing.T) {
	none := v1.ContainerState{}
	for name, c := range map[string]struct {
		policy      v1.RestartPolicy
		initialized bool
		containers  []*container
		want        v1.PodPhase
	}{
		"not started":                    {v1.RestartPolicyNever, true, []*container{part(mainContainer, none, none)}, v1.PodPending},
		"no image":                       {v1.RestartPolicyNever, true, []*container{part(mainContainer, waiting("ErrImagePull"), none)}, v1.PodPending},
		"no image for one":               {v1.RestartPolicyNever, true, []*container{part(mainContainer, running(), none), part(mainContainer, waiting("ErrImagePull"), none)}, v1.PodPending},
		"running":                        {v1.RestartPolicyNever, true, []*container{part(mainContainer, running(), none), part(mainContainer, ended(1), none)}, v1.PodRunning},
		"succeeded":                      {v1.RestartPolicyNever, true, []*container{part(mainContainer, ended(0), none)}, v1.PodSucceeded},
		"one failed":                     {v1.RestartPolicyNever, true, []*container{part(mainContainer, ended(0), none), part(mainContainer, ended(2), none)}, v1.PodFailed},
		"on failure, to restart":         {v1.RestartPolicyOnFailure, true, []*container{part(mainContainer, ended(2), none)}, v1.PodRunning},
		"on failure, succeeded":          {v1.RestartPolicyOnFailure, true, []*container{part(mainContainer, ended(0), ended(2))}, v1.PodSucceeded},
		"crash loop":                     {v1.RestartPolicyAlways, true, []*container{part(mainContainer, waiting("CrashLoopBackOff"), ended(2))}, v1.PodRunning},
		"initializing":                   {v1.RestartPolicyNever, false, []*container{part(initContainer, running(), none), part(mainContainer, none, none)}, v1.PodPending},
		"init failed":                    {v1.RestartPolicyNever, false, []*container{part(initContainer, ended(1), none), part(mainContainer, none, none)}, v1.PodFailed},
		"init failed, sidecar":           {v1.RestartPolicyNever, false, []*container{part(sidecarContainer, running(), none), part(initContainer, ended(1), none)}, v1.PodPending},
		"init to restart":                {v1.RestartPolicyAlways, false, []*container{part(initContainer, ended(1), none), part(mainContainer, none, none)}, v1.PodPending},
		"sidecar still runs":             {v1.RestartPolicyNever, true, []*container{part(sidecarContainer, running(), none), part(mainContainer, ended(0), none)}, v1.PodRunning},
		"sidecar's end is not the pod's": {v1.RestartPolicyNever, true, []*container{part(sidecarContainer, ended(143), none), part(mainContainer, ended(0), none)}, v1.PodSucceeded},
	} {
		pod := &v1.Pod{Spec: v1.PodSpec{RestartPolicy: c.policy}}
		if got := podPhase(statusInput{pod: pod, initialized: c.initialized, containers: c.containers}); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestStatus(t *testing.T) {
	pod := &v1.Pod{Spec: v1.PodSpec{RestartPolicy: v1.RestartPolicyNever}}
	start := time.Now()
	input := statusInput{pod: pod, startTime: start, initialized: true, sandbox: true, containers: []*container{part(mainContainer, running(), v1.ContainerState{})}}
	first := podStatus(input)
	if first.Phase != v1.PodRunning || first.PodIP != podAddress || !first.StartTime.Time.Equal(start) {
		t.Errorf("running: %+v", first)
	}
	for _, c := range first.Conditions {
		if c.Status != v1.ConditionTrue {
			t.Errorf("running: %s is %s", c.Type, c.Status)
		}
	}
	input.containers[0].ready, input.previous = false, first.Conditions
	for _, c := range podStatus(input).Conditions {
		if c.Type == v1.PodReady && (c.Status != v1.ConditionFalse || c.Message != "containers with unready status: [c]") {
			t.Errorf("unready: %+v", c)
		}
		if c.Type == v1.PodInitialized && c.LastTransitionTime != first.Conditions[1].LastTransitionTime {
			t.Error("an unchanged condition has a new transition time")
		}
	}
	input.deadline = true
	if s := podStatus(input); s.Phase != v1.PodFailed || s.Reason != "DeadlineExceeded" {
		t.Errorf("deadline: %s %s", s.Phase, s.Reason)
	}
	input.deadline, input.stopped = false, true
	input.containers[0].state = ended(143)
	if s := podStatus(input); s.Phase != v1.PodFailed {
		t.Errorf("deleted: %s", s.Phase)
	}
}

func TestWaitingReasons(t *testing.T) {
	c := part(mainContainer, v1.ContainerState{}, v1.ContainerState{})
	if got := containerStatus(c, true).State.Waiting.Reason; got != "PodInitializing" {
		t.Error(got)
	}
	if got := containerStatus(c, false).State.Waiting.Reason; got != "ContainerCreating" {
		t.Error(got)
	}
}

func TestStatusPatchClearsOldReasons(t *testing.T) {
	body, err := statusPatch("u", &v1.PodStatus{Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}})
	if err != nil {
		t.Fatal(err)
	}
	var patch struct {
		Metadata struct{ UID string }
		Status   struct{ Conditions []map[string]any }
	}
	if err := json.Unmarshal(body, &patch); err != nil {
		t.Fatal(err)
	}
	if value, ok := patch.Status.Conditions[0]["message"]; !ok || value != nil || patch.Metadata.UID != "u" {
		t.Errorf("patch: %s", body)
	}
}
