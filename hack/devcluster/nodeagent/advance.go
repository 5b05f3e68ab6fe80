package nodeagent

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

const (
	configError = "CreateContainerConfigError"

	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// advance starts what should run now: init containers one after the other, then the others together; and when those have ended
// for good, it stops the sidecars.
func (w *worker) advance() {
	if !w.initialized && !w.advanceInit() {
		return
	}
	w.initialized = true
	if w.mainDone() {
		w.stopSidecars(w.terminationGrace())
		return
	}
	for _, c := range w.containers {
		if c.kind == initContainer || c.proc != nil {
			continue
		}
		if run := c.state.Terminated; run == nil || restartable(w.pod, &c.container, run.ExitCode) {
			w.tryStart(c)
		}
	}
	if w.mainDone() { // a program that could not be started
		w.stopSidecars(w.terminationGrace())
	}
}

// advanceInit returns true when all init containers have done their work.
func (w *worker) advanceInit() bool {
	if w.initFailed() {
		w.stopSidecars(w.terminationGrace())
		return false
	}
	for _, c := range w.containers {
		switch {
		case c.kind == mainContainer:
			continue
		case c.proc != nil && c.kind == sidecarContainer:
			continue
		case c.proc != nil:
			return false
		}
		if run := c.state.Terminated; run != nil && c.kind == initContainer && run.ExitCode == 0 {
			continue
		}
		w.tryStart(c)
		if c.kind == initContainer || c.proc == nil {
			return false
		}
	}
	return true
}

// initFailed says whether an init container failed for good, which is the end of the pod.
func (w *worker) initFailed() bool {
	for _, c := range w.containers {
		run := c.state.Terminated
		if c.kind == initContainer && run != nil && run.ExitCode != 0 && !restartable(w.pod, &c.container, run.ExitCode) {
			return true
		}
	}
	return false
}

// mainDone says whether every main container has ended for good.
func (w *worker) mainDone() bool {
	for _, c := range w.containers {
		if c.kind != mainContainer {
			continue
		}
		run := c.state.Terminated
		if run == nil || restartable(w.pod, &c.container, run.ExitCode) {
			return false
		}
	}
	return true
}

// tryStart starts the container, or notes why not and when to try again.
func (w *worker) tryStart(c *runner) {
	if time.Now().Before(c.notBefore) {
		w.wakeAt(c.notBefore)
		return
	}
	image, err := w.agent.images.find(c.spec.Image)
	if err != nil {
		w.imageMissing(c, err)
		return
	}
	spec, err := buildSpec(w.dir, w.pod, c.spec, image, w.agent.sources)
	if err != nil {
		w.retryLater(c, configError, err.Error())
		w.agent.event(w.pod, v1.EventTypeWarning, "Failed", "Error: "+err.Error())
		return
	}
	c.failures = 0
	c.imageID = "process://" + imageName(c.spec.Image)
	if ended := c.lastRun(); ended != nil {
		c.last, c.state = v1.ContainerState{Terminated: ended}, v1.ContainerState{}
		c.restarts++
	}
	c.procSpec, c.id = spec, newContainerID()
	if err := w.spawn(c); err != nil {
		w.agent.event(w.pod, v1.EventTypeWarning, "Failed", "Error: "+err.Error())
		w.startFailed(c, err)
	}
}

func (w *worker) spawn(c *runner) error {
	if err := os.MkdirAll(w.dir.container(c.spec.Name), 0o700); err != nil {
		return err
	}
	proc, err := startProcess(&c.procSpec, func(p *process, result exitResult) {
		w.post(func() { w.exited(c, p, result) })
	})
	if err != nil {
		return err
	}
	c.proc = proc
	tick, _ := startTick(proc.pid)
	kept := processRecord{PID: proc.pid, StartTick: tick, Boot: w.agent.boot, Started: proc.started, Restarts: c.restarts}
	if err := kept.write(w.dir.record(c.spec.Name)); err != nil {
		klog.ErrorS(err, "Process was not recorded", "pod", klog.KObj(w.pod), "container", c.spec.Name)
	}
	c.state = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.NewTime(proc.started)}}
	c.ready = c.spec.ReadinessProbe == nil
	if !c.ready {
		c.stopProbe = w.startProbe(c)
	}
	return nil
}

// exited takes the end of a process.
func (w *worker) exited(c *runner, p *process, result exitResult) {
	if c.proc != p || w.agent.closing.Load() {
		return
	}
	ended := &v1.ContainerStateTerminated{
		ExitCode: result.code, Signal: result.signal, Reason: "Completed",
		Message:   terminationMessage(c.spec, &c.procSpec, result.code),
		StartedAt: metav1.NewTime(p.started), FinishedAt: metav1.NewTime(result.finished), ContainerID: c.id,
	}
	if result.code != 0 {
		ended.Reason = "Error"
	}
	c.proc = nil
	kept := processRecord{PID: p.pid, Boot: w.agent.boot, Started: p.started, Restarts: c.restarts, Exit: ended}
	_ = kept.write(w.dir.record(c.spec.Name)) // without it the next agent reports an unknown end
	w.ended(c, ended, result.finished.Sub(p.started))
}

func (w *worker) startFailed(c *runner, err error) {
	now := metav1.Now()
	w.ended(c, &v1.ContainerStateTerminated{
		ExitCode: 128, Reason: "StartError", Message: err.Error(), StartedAt: now, FinishedAt: now, ContainerID: c.id,
	}, 0)
}

// ended notes the end of a run and, if there is to be another, when.
func (w *worker) ended(c *runner, how *v1.ContainerStateTerminated, ran time.Duration) {
	c.state, c.ready = v1.ContainerState{Terminated: how}, false
	if c.stopProbe != nil {
		c.stopProbe()
		c.stopProbe = nil
	}
	if w.stopping() || !restartable(w.pod, &c.container, how.ExitCode) {
		return
	}
	pause := c.back.next(ran)
	c.notBefore = time.Now().Add(pause)
	w.wakeAt(c.notBefore)
	if pause > 0 && !w.mainDone() && !w.initFailed() {
		c.last = c.state
		message := fmt.Sprintf("back-off %v restarting failed container=%s pod=%s_%s(%s)", pause, c.spec.Name, w.pod.Name, w.pod.Namespace, w.pod.UID)
		c.state = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: message}}
	}
}

// imageMissing reports as the kubelet does: the failed attempt first, the back-off from the second look on.
func (w *worker) imageMissing(c *runner, err error) {
	reason := "ErrImagePull"
	message := fmt.Sprintf("failed to pull image %q: %v", c.spec.Image, err)
	switch {
	case errors.Is(err, errNoImage) && c.spec.ImagePullPolicy == v1.PullNever:
		reason, message = "ErrImageNeverPull", fmt.Sprintf("Container image %q is not present with pull policy of Never", c.spec.Image)
	case c.failures > 0:
		reason, message = "ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", c.spec.Image, message)
	}
	if c.failures < 2 {
		w.agent.event(w.pod, v1.EventTypeWarning, "Failed", message)
	}
	w.retryLater(c, reason, message)
}

func (w *worker) retryLater(c *runner, reason, message string) {
	if ended := c.state.Terminated; ended != nil {
		c.last = v1.ContainerState{Terminated: ended}
	}
	c.state = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
	pause := min(firstRetry<<min(c.failures, 10), lastRetry)
	c.failures++
	c.notBefore = time.Now().Add(pause)
	w.wakeAt(c.notBefore)
}

// retryConfig is called when a Secret or a ConfigMap has come or changed, which may be the one that a container lacks.
func (w *worker) retryConfig() {
	for _, c := range w.containers {
		if waiting := c.state.Waiting; waiting != nil && waiting.Reason == configError {
			c.notBefore = time.Time{}
		}
	}
}

func newContainerID() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return "process://" + hex.EncodeToString(raw)
}
