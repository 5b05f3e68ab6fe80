package nodeagent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
)

// shutdownGrace is what processes get when the agent is told to end: the machine is going down, so to say.
const shutdownGrace = 2 * time.Second

// Agent runs the pods of one node.
type Agent struct {
	config  Config
	client  kubernetes.Interface
	sources sources
	images  *imageFile
	events  record.EventRecorder
	boot    string
	closing atomic.Bool // processes are being ended and nothing is started or reported any more

	mu      sync.Mutex
	workers map[types.UID]*worker
}

// Run registers the node and runs its pods until ctx ends; then it ends their processes.
func Run(ctx context.Context, config Config) error {
	restConfig, err := clientcmd.BuildConfigFromFlags("", config.Kubeconfig)
	if err != nil {
		return err
	}
	restConfig.QPS = -1 // the API server's own limits are enough
	restConfig.ContentType = runtime.ContentTypeProtobuf
	client, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(config.Dir, "pods"), 0o700); err != nil {
		return err
	}
	a := &Agent{
		config: config, client: client, images: newImageFile(config.ImageMap), boot: bootID(), workers: map[types.UID]*worker{},
	}
	stopEvents := a.startEvents()
	defer stopEvents()
	killLeftovers(config.Dir)
	// First the log endpoint: the node names its port.
	stopServer, err := a.serveLogs()
	if err != nil {
		return fmt.Errorf("log endpoint: %w", err)
	}
	defer stopServer()
	if err := a.watchSources(ctx); err != nil {
		return err
	}
	if err := a.register(ctx); err != nil {
		return err
	}
	go a.keepAlive(ctx)
	if err := a.watchPods(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	a.shutdown()
	return nil
}

func (a *Agent) podDir(uid types.UID) podDir {
	return podDir(filepath.Join(a.config.Dir, "pods", string(uid)))
}

func (a *Agent) startEvents() func() {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: a.client.CoreV1().Events("")})
	a.events = broadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: "node-agent", Host: a.config.NodeName})
	return broadcaster.Shutdown
}

func (a *Agent) event(pod *v1.Pod, kind, reason, message string) {
	a.events.Event(pod, kind, reason, message)
}

// watchSources keeps every Secret and ConfigMap at hand, so that starting a pod asks the API server for nothing.
func (a *Agent) watchSources(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(a.client, 0, informers.WithTransform(stripManagedFields))
	secrets, configMaps := factory.Core().V1().Secrets(), factory.Core().V1().ConfigMaps()
	a.sources = &apiSources{client: a.client, secrets: secrets.Lister(), configMaps: configMaps.Lister()}
	for kind, informer := range map[string]cache.SharedIndexInformer{"Secret": secrets.Informer(), "ConfigMap": configMaps.Informer()} {
		changed := func(object any) {
			if m, err := meta.Accessor(object); err == nil {
				a.sourceChanged(kind, m.GetNamespace(), m.GetName())
			}
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: changed, UpdateFunc: func(_, object any) { changed(object) },
		})
		if err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	for _, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return ctx.Err()
		}
	}
	return nil
}

func (a *Agent) sourceChanged(kind, namespace, name string) {
	for _, w := range a.allWorkers() {
		if w.namespace == namespace {
			w.post(func() {
				if references(w.pod, kind, name) {
					w.refreshVolumes()
				}
				w.retryConfig()
			})
		}
	}
}

func (a *Agent) watchPods(ctx context.Context) error {
	source := cache.NewListWatchFromClient(a.client.CoreV1().RESTClient(), "pods", v1.NamespaceAll,
		fields.OneTermEqualSelector("spec.nodeName", a.config.NodeName))
	informer := cache.NewSharedIndexInformer(source, &v1.Pod{}, 0, cache.Indexers{})
	if err := informer.SetTransform(stripManagedFields); err != nil {
		return err
	}
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { a.podAdded(object.(*v1.Pod)) },
		UpdateFunc: func(before, after any) {
			if old, pod := before.(*v1.Pod), after.(*v1.Pod); old.UID != pod.UID {
				a.podDeleted(old.UID) // deleted and made again while the watch was down
				a.podAdded(pod)
			} else {
				a.podUpdated(pod)
			}
		},
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			if pod, ok := object.(*v1.Pod); ok {
				a.podDeleted(pod.UID)
			}
		},
	})
	if err != nil {
		return err
	}
	left := a.leftPods()
	go informer.RunWithContext(ctx)
	if cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
		known := map[types.UID]bool{}
		for _, object := range informer.GetStore().List() {
			known[object.(*v1.Pod).UID] = true
		}
		a.removeLeftovers(left, known)
	}
	return nil
}

// stripManagedFields saves the larger part of what small objects take in memory.
func stripManagedFields(object any) (any, error) {
	if m, err := meta.Accessor(object); err == nil {
		m.SetManagedFields(nil)
	}
	return object, nil
}

func (a *Agent) podAdded(pod *v1.Pod) {
	w := newWorker(a, pod)
	if _, err := os.Stat(string(w.dir)); err == nil || pod.Status.StartTime != nil {
		w.restore()
	}
	a.mu.Lock()
	a.workers[pod.UID] = w
	a.mu.Unlock()
	go w.run()
}

func (a *Agent) podUpdated(pod *v1.Pod) {
	if w := a.worker(pod.UID); w != nil {
		w.post(func() { w.update(pod) })
	}
}

func (a *Agent) podDeleted(uid types.UID) {
	if w := a.worker(uid); w != nil {
		w.post(func() { w.gone = true })
	}
}

func (a *Agent) worker(uid types.UID) *worker {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.workers[uid]
}

func (a *Agent) allWorkers() []*worker {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*worker, 0, len(a.workers))
	for _, w := range a.workers {
		all = append(all, w)
	}
	return all
}

func (a *Agent) forget(w *worker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.workers, w.uid)
}

// shutdown ends all processes. It reports nothing: to the API this is a node that went away, and the next agent says what
// became of its containers.
func (a *Agent) shutdown() {
	a.closing.Store(true)
	var ending sync.WaitGroup
	for _, w := range a.allWorkers() {
		ending.Add(1)
		w.post(func() {
			defer ending.Done()
			var running []*process
			for _, c := range w.containers {
				if c.proc != nil {
					c.proc.terminate(shutdownGrace)
					running = append(running, c.proc)
				}
			}
			for _, p := range running {
				<-p.exited
			}
		})
	}
	done := make(chan struct{})
	go func() {
		ending.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(shutdownGrace + time.Second):
	}
}
