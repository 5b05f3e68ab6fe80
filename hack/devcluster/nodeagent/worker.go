package nodeagent

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// worker runs one pod. All its fields below the queue belong to the goroutine in run; others hand it work with post.
type worker struct {
	agent           *Agent
	dir             podDir
	namespace, name string
	uid             types.UID
	// published is the latest status, for the log endpoint.
	published atomic.Pointer[v1.PodStatus]

	mu    sync.Mutex
	queue []func()
	wake  chan struct{}

	pod        *v1.Pod
	containers []*runner
	volumes    *volumeSet
	writer     *statusWriter
	timer      *time.Timer
	timerAt    time.Time
	startTime  time.Time

	mounted     bool
	initialized bool
	deadline    bool // activeDeadlineSeconds are over
	gone        bool // the pod is not in the API any more
	removed     bool // the API server was told to remove it
	closed      bool
}

// runner is a container with what running it takes.
type runner struct {
	container
	proc      *process
	procSpec  processSpec
	back      backoff
	notBefore time.Time
	failures  int // to get the image or the variables, in a row
	stopProbe func()
}

func newWorker(agent *Agent, pod *v1.Pod) *worker {
	w := &worker{
		agent: agent, dir: agent.podDir(pod.UID), pod: pod, wake: make(chan struct{}, 1),
		namespace: pod.Namespace, name: pod.Name, uid: pod.UID,
		writer: newStatusWriter(agent.client, pod), startTime: time.Now(), timer: time.NewTimer(time.Hour),
	}
	w.volumes = newVolumeSet(w.dir.volumes(), agent.sources)
	add := func(spec *v1.Container, kind containerKind) {
		w.containers = append(w.containers, &runner{
			container: container{spec: spec, kind: kind},
			back:      backoff{base: agent.config.RestartBackoff, max: agent.config.RestartBackoffMax},
		})
	}
	for i := range pod.Spec.InitContainers {
		spec := &pod.Spec.InitContainers[i]
		if spec.RestartPolicy != nil && *spec.RestartPolicy == v1.ContainerRestartPolicyAlways {
			add(spec, sidecarContainer)
		} else {
			add(spec, initContainer)
		}
	}
	for i := range pod.Spec.Containers {
		add(&pod.Spec.Containers[i], mainContainer)
	}
	return w
}

// post has the worker's goroutine call f and then look at the pod again.
func (w *worker) post(f func()) {
	w.mu.Lock()
	w.queue = append(w.queue, f)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *worker) run() {
	defer w.agent.forget(w)
	for !w.closed {
		w.sync()
		if w.closed {
			return
		}
		select {
		case <-w.wake:
		case <-w.timer.C:
			w.timerAt = time.Time{}
		}
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, f := range queue {
			f()
		}
	}
}

// wakeAt has sync called again at t, or earlier.
func (w *worker) wakeAt(t time.Time) {
	if t.IsZero() || !w.timerAt.IsZero() && w.timerAt.Before(t) {
		return
	}
	w.timerAt = t
	w.timer.Reset(max(0, time.Until(t)))
}

// sync brings the processes nearer to what the pod wants and reports where they are. It is called after everything that may
// change either, and does nothing when there is nothing to do.
func (w *worker) sync() {
	if w.agent.closing.Load() {
		return
	}
	w.checkDeadline()
	switch {
	case w.stopping():
		w.stopAll()
		if w.anyRunning() {
			w.publish()
		} else {
			w.finish()
		}
	case w.terminal():
	case !w.mounted && !w.mount():
		w.publish()
	default:
		w.renewTokens()
		w.advance()
		w.publish()
	}
}

func (w *worker) stopping() bool {
	// Somebody else may end the pod by its status, as the taint eviction does.
	return w.gone || w.deadline || w.pod.DeletionTimestamp != nil || w.terminal() && w.anyRunning()
}

// terminal says whether the pod has ended as far as the API knows.
func (w *worker) terminal() bool {
	return w.pod.Status.Phase == v1.PodSucceeded || w.pod.Status.Phase == v1.PodFailed
}

func (w *worker) anyRunning() bool {
	for _, c := range w.containers {
		if c.proc != nil {
			return true
		}
	}
	return false
}

func (w *worker) checkDeadline() {
	seconds := w.pod.Spec.ActiveDeadlineSeconds
	if seconds == nil || w.deadline || w.terminal() || w.done() {
		return
	}
	at := w.startTime.Add(time.Duration(*seconds) * time.Second)
	if time.Now().Before(at) {
		w.wakeAt(at)
		return
	}
	w.deadline = true
	w.agent.event(w.pod, v1.EventTypeNormal, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
}

func (w *worker) mount() bool {
	for _, dir := range []string{string(w.dir), w.dir.volumes(), w.dir.home()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			klog.ErrorS(err, "Pod folder was not made", "pod", klog.KObj(w.pod))
			w.wakeAt(time.Now().Add(time.Second))
			return false
		}
	}
	if err := w.volumes.mount(w.pod); err != nil {
		w.agent.event(w.pod, v1.EventTypeWarning, "FailedMount", err.Error())
		w.wakeAt(time.Now().Add(time.Second))
		return false
	}
	w.mounted = true
	return true
}

// refreshVolumes rewrites what volumes made from objects contain. When that fails the old contents stay.
func (w *worker) refreshVolumes() {
	if !w.mounted || w.stopping() || w.done() {
		return
	}
	if err := w.volumes.mount(w.pod); err != nil {
		klog.ErrorS(err, "Volumes were not brought up to date", "pod", klog.KObj(w.pod))
	}
}

func (w *worker) renewTokens() {
	at := w.volumes.renewFrom()
	if at.IsZero() || w.done() {
		return
	}
	if time.Now().After(at) {
		w.refreshVolumes()
		at = w.volumes.renewFrom()
		if soon := time.Now().Add(10 * time.Second); at.Before(soon) {
			at = soon // it failed: do not ask without pause
		}
	}
	w.wakeAt(at)
}

// done says whether no process runs and none will be started.
func (w *worker) done() bool {
	status := w.published.Load()
	return status != nil && (status.Phase == v1.PodSucceeded || status.Phase == v1.PodFailed)
}

// update takes the pod as it is now in the API.
func (w *worker) update(pod *v1.Pod) {
	old := w.pod
	w.pod = pod
	for _, c := range w.containers {
		// Images and resources may change; a process is only touched by its next start.
		if spec := findContainer(pod, c.spec.Name); spec != nil {
			c.spec = spec
		}
	}
	if formatMap(old.Labels) != formatMap(pod.Labels) || formatMap(old.Annotations) != formatMap(pod.Annotations) {
		w.refreshVolumes()
	}
}

func (w *worker) publish() {
	input := statusInput{
		pod: w.pod, startTime: w.startTime, initialized: w.initialized, sandbox: w.mounted, previous: w.pod.Status.Conditions,
		stopped:  w.pod.DeletionTimestamp != nil && !w.anyRunning(),
		deadline: w.deadline && !w.anyRunning(),
	}
	if last := w.published.Load(); last != nil {
		input.previous = last.Conditions
	}
	for _, c := range w.containers {
		copied := c.container // the status points into the states, and those go on changing
		copied.state, copied.last = *c.state.DeepCopy(), *c.last.DeepCopy()
		input.containers = append(input.containers, &copied)
	}
	status := podStatus(input)
	w.published.Store(&status)
	w.writer.set(&status, status.Phase == v1.PodSucceeded || status.Phase == v1.PodFailed)
}
