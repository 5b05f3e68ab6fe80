package nodeagent

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// coalesce is how long a status waits for the next change, so that a container's start and its quick end are one write.
const coalesce = 20 * time.Millisecond

// statusWriter sends a pod's latest status to the API server, one write at a time and none that changes nothing.
type statusWriter struct {
	client          kubernetes.Interface
	namespace, name string
	uid             types.UID

	mu      sync.Mutex
	wanted  *v1.PodStatus
	written *v1.PodStatus
	busy    bool          // a write is planned or under way
	early   chan struct{} // closed to have the planned write done at once
	idle    *sync.Cond
	gone    bool
}

func newStatusWriter(client kubernetes.Interface, pod *v1.Pod) *statusWriter {
	w := &statusWriter{client: client, namespace: pod.Namespace, name: pod.Name, uid: pod.UID}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// set plans a write of status: now, or when the status has been still for a moment.
func (w *statusWriter) set(status *v1.PodStatus, now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone || w.wanted != nil && apiequality.Semantic.DeepEqual(*w.wanted, *status) {
		return
	}
	w.wanted = status
	if !w.busy {
		w.busy, w.early = true, make(chan struct{})
		go w.write(w.early)
	}
	if now && w.early != nil {
		close(w.early)
		w.early = nil
	}
}

// flush returns when the latest status is written, or the pod is gone.
func (w *statusWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.early != nil {
		close(w.early)
		w.early = nil
	}
	for w.busy {
		w.idle.Wait()
	}
}

func (w *statusWriter) write(early chan struct{}) {
	select {
	case <-early:
	case <-time.After(coalesce):
	}
	retry := 50 * time.Millisecond
	w.mu.Lock()
	defer w.mu.Unlock()
	w.early = nil
	for !w.gone && w.wanted != w.written {
		next := w.wanted
		w.mu.Unlock()
		err := w.patch(next)
		if err != nil && !isGone(err) {
			klog.ErrorS(err, "Pod status was not written", "pod", klog.KRef(w.namespace, w.name))
			time.Sleep(retry)
			retry = min(2*retry, 5*time.Second)
		}
		w.mu.Lock()
		if err == nil {
			w.written = next
		}
		w.gone = w.gone || isGone(err)
	}
	w.busy = false
	w.idle.Broadcast()
}

// stop gives up on a pod that is not there any more.
func (w *statusWriter) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
}

// isGone: the pod was deleted, or another one has its name now (the API server answers Conflict to a wrong uid).
func isGone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

func (w *statusWriter) patch(status *v1.PodStatus) error {
	body, err := statusPatch(w.uid, status)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout)
	defer cancel()
	_, err = w.client.CoreV1().Pods(w.namespace).
		Patch(ctx, w.name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

// statusPatch writes what a merge would otherwise keep from before as null: conditions are merged by their type.
func statusPatch(uid types.UID, status *v1.PodStatus) ([]byte, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(status)
	if err != nil {
		return nil, err
	}
	conditions, _ := fields["conditions"].([]any)
	for _, c := range conditions {
		c := c.(map[string]any)
		for _, name := range []string{"reason", "message"} {
			if _, ok := c[name]; !ok {
				c[name] = nil
			}
		}
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid}, "status": fields})
}
