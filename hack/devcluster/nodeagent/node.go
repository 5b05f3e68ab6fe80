package nodeagent

import (
	"context"
	"os"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
)

// statusInterval is how often the node's status is written though nothing has changed; the lease says that it is alive.
const statusInterval = 5 * time.Minute

// nodeCapacity is not this machine's: a test node takes whatever is scheduled to it.
func nodeCapacity() v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceCPU: resource.MustParse("64"), v1.ResourceMemory: resource.MustParse("256Gi"),
		v1.ResourceEphemeralStorage: resource.MustParse("1Ti"), v1.ResourcePods: resource.MustParse("2000"),
	}
}

func (a *Agent) nodeObject() *v1.Node {
	name := a.config.NodeName
	labels := map[string]string{v1.LabelHostname: name, v1.LabelOSStable: runtime.GOOS, v1.LabelArchStable: runtime.GOARCH}
	machine, _ := os.ReadFile("/etc/machine-id")
	now := metav1.Now()
	ready := func(kind v1.NodeConditionType, status v1.ConditionStatus, reason, message string) v1.NodeCondition {
		return v1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: v1.NodeStatus{
			Capacity: nodeCapacity(), Allocatable: nodeCapacity(),
			Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: podAddress}, {Type: v1.NodeHostName, Address: name}},
			Conditions: []v1.NodeCondition{
				ready(v1.NodeMemoryPressure, v1.ConditionFalse, "NotWatched", "the process node does not watch memory"),
				ready(v1.NodeDiskPressure, v1.ConditionFalse, "NotWatched", "the process node does not watch disks"),
				ready(v1.NodePIDPressure, v1.ConditionFalse, "NotWatched", "the process node does not watch processes"),
				ready(v1.NodeReady, v1.ConditionTrue, "NodeAgentReady", "the node agent runs pods as processes"),
			},
			DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: int32(a.config.Port)}},
			NodeInfo: v1.NodeSystemInfo{
				MachineID: string(machine), SystemUUID: name, BootID: a.boot, OSImage: "process node",
				ContainerRuntimeVersion: "process://1", KubeletVersion: a.config.Version,
				OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
			},
		},
	}
}

// register makes the node, or takes over the one of an agent before.
func (a *Agent) register(ctx context.Context) error {
	nodes := a.client.CoreV1().Nodes()
	return retry(ctx, "register the node", func() error {
		wanted := a.nodeObject()
		_, err := nodes.Create(ctx, wanted, metav1.CreateOptions{})
		if err == nil || !apierrors.IsAlreadyExists(err) {
			return err
		}
		current, err := nodes.Get(ctx, wanted.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		current.Status = wanted.Status
		_, err = nodes.UpdateStatus(ctx, current, metav1.UpdateOptions{})
		return err
	})
}

// keepAlive renews the lease, and the status now and then, or at once when somebody else wrote that the node is not
// ready: a controller manager whose watch of leases broke does so, and takes nothing back by itself.
func (a *Agent) keepAlive(ctx context.Context) {
	statusAt := time.Now().Add(statusInterval)
	wait.JitterUntilWithContext(ctx, func(ctx context.Context) {
		if err := a.renewLease(ctx); err != nil {
			klog.ErrorS(err, "Node lease was not renewed")
			return
		}
		if (time.Now().After(statusAt) || a.doubted(ctx)) && a.register(ctx) == nil {
			statusAt = time.Now().Add(statusInterval)
		}
	}, a.config.LeaseInterval, 0.04, true)
}

// doubted says whether the API server has the node as not ready.
func (a *Agent) doubted(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	node, err := a.client.CoreV1().Nodes().Get(ctx, a.config.NodeName, metav1.GetOptions{})
	if err != nil {
		return false
	}
	for _, c := range node.Status.Conditions {
		if c.Type == v1.NodeReady {
			return c.Status != v1.ConditionTrue
		}
	}
	return true
}

func (a *Agent) renewLease(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	leases := a.client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	now, name := metav1.NewMicroTime(time.Now()), a.config.NodeName
	seconds := max(int32(4*a.config.LeaseInterval/time.Second), 40)
	lease, err := leases.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		node, err := a.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return a.register(ctx) // somebody deleted it
		} else if err != nil {
			return err
		}
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "Node", Name: name, UID: node.UID},
			}},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now},
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &name, &seconds, &now
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

// retry calls f until it succeeds or ctx ends.
func retry(ctx context.Context, what string, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		klog.ErrorS(err, "Trying again", "what", what)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
