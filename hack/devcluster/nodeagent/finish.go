package nodeagent

import (
	"context"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// goneGrace is what processes get whose pod was removed from the API without waiting for the node.
const goneGrace = 2 * time.Second

func (w *worker) terminationGrace() time.Duration {
	switch {
	case w.gone:
		return goneGrace
	case w.pod.DeletionGracePeriodSeconds != nil:
		return time.Duration(*w.pod.DeletionGracePeriodSeconds) * time.Second
	case w.pod.Spec.TerminationGracePeriodSeconds != nil:
		return time.Duration(*w.pod.Spec.TerminationGracePeriodSeconds) * time.Second
	default:
		return 30 * time.Second
	}
}

// stopAll ends init and main containers, and the sidecars when those are gone.
func (w *worker) stopAll() {
	grace := w.terminationGrace()
	waiting := false
	for _, c := range w.containers {
		if c.stopProbe != nil {
			c.stopProbe()
			c.stopProbe, c.ready = nil, false
		}
		if c.proc != nil && c.kind != sidecarContainer {
			c.proc.terminate(grace)
			waiting = true
		}
	}
	if !waiting {
		w.stopSidecars(grace)
	}
}

// stopSidecars ends the sidecars one after the other, the last one first, as the kubelet does.
func (w *worker) stopSidecars(grace time.Duration) {
	for i := len(w.containers) - 1; i >= 0; i-- {
		if c := w.containers[i]; c.kind == sidecarContainer && c.proc != nil {
			c.proc.terminate(grace)
			return
		}
	}
}

// finish is called when a pod that is to stop has no processes any more.
func (w *worker) finish() {
	switch {
	case w.gone:
		w.writer.stop()
		if err := os.RemoveAll(string(w.dir)); err != nil {
			klog.ErrorS(err, "Pod folder was not removed", "pod", klog.KObj(w.pod))
		}
		w.closed = true
	case w.pod.DeletionTimestamp != nil && !w.removed:
		if !w.terminal() {
			w.publish()
		}
		w.writer.flush()
		w.remove()
	case w.pod.DeletionTimestamp == nil && !w.terminal():
		w.publish()
	}
}

// remove takes the pod out of the API, which the API server left to the node. The watch then says that it is gone.
func (w *worker) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout)
	defer cancel()
	now, uid := int64(0), w.pod.UID
	err := w.agent.client.CoreV1().Pods(w.pod.Namespace).Delete(ctx, w.pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		w.removed = true
		return
	}
	klog.ErrorS(err, "Pod was not removed from the API", "pod", klog.KObj(w.pod))
	w.wakeAt(time.Now().Add(500 * time.Millisecond))
}
