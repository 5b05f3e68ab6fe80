package nodeagent

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type fakeSources struct {
	secrets map[string]map[string][]byte
	tokens  int
}

func (f *fakeSources) secret(_, name string) (*v1.Secret, error) {
	if data, ok := f.secrets[name]; ok {
		return &v1.Secret{Data: data}, nil
	}
	return nil, apierrors.NewNotFound(v1.Resource("secret"), name)
}

func (f *fakeSources) configMap(_, name string) (*v1.ConfigMap, error) {
	if name == "config" {
		return &v1.ConfigMap{Data: map[string]string{"key": "/data/from-config"}}, nil
	}
	return nil, apierrors.NewNotFound(v1.Resource("configmap"), name)
}

func (f *fakeSources) token(*v1.Pod, *v1.ServiceAccountTokenProjection) (string, time.Time, error) {
	f.tokens++
	return "token", time.Now().Add(time.Hour), nil
}

func testPod(c v1.Container) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", Labels: map[string]string{"app.x/y": "z"}},
		Spec:       v1.PodSpec{ServiceAccountName: "sa", NodeName: "node", Containers: []v1.Container{c}},
	}
}

func TestBuildSpec(t *testing.T) {
	t.Setenv("HOST_ONLY", "must not be seen")
	yes := true
	c := v1.Container{
		Name: "c", Command: []string{"prog", "/data/in"}, Args: []string{"$(PATHS)", "/dev/termination-log"}, WorkingDir: "/work",
		VolumeMounts: []v1.VolumeMount{{Name: "d", MountPath: "/data"}},
		EnvFrom:      []v1.EnvFromSource{{Prefix: "P_", ConfigMapRef: &v1.ConfigMapEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: "config"}}}},
		Resources:    v1.ResourceRequirements{Limits: v1.ResourceList{v1.ResourceCPU: resource.MustParse("1500m"), v1.ResourceMemory: resource.MustParse("1Gi")}},
		Env: []v1.EnvVar{
			{Name: "PATHS", Value: "/data/a:/other"},
			{Name: "TWICE", Value: "$(PATHS)$(LATER)"},
			{Name: "SECRET", ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{LocalObjectReference: v1.LocalObjectReference{Name: "s"}, Key: "k"}}},
			{Name: "OPTIONAL", ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{LocalObjectReference: v1.LocalObjectReference{Name: "no"}, Key: "k", Optional: &yes}}},
			{Name: "LABEL", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "metadata.labels['app.x/y']"}}},
			{Name: "CPU", ValueFrom: &v1.EnvVarSource{ResourceFieldRef: &v1.ResourceFieldSelector{Resource: "limits.cpu"}}},
			{Name: "MEM", ValueFrom: &v1.EnvVarSource{ResourceFieldRef: &v1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}},
		},
	}
	dir := podDir(t.TempDir())
	src := &fakeSources{secrets: map[string]map[string][]byte{"s": {"k": []byte("/data/is-no-path")}}}
	spec, err := buildSpec(dir, testPod(c), &c, Image{Entrypoint: []string{"/entry"}, Env: map[string]string{"IMG": "/data/host"}}, src)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(string(dir), "volumes", "d")
	if want := []string{"prog", data + "/in", data + "/a:/other", dir.termination("c")}; !slices.Equal(spec.argv, want) {
		t.Errorf("argv %q, want %q", spec.argv, want)
	}
	want := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir.home(), "IMG=/data/host", "P_key=" + data + "/from-config", "PATHS=" + data + "/a:/other",
		"TWICE=" + data + "/a:/other$(LATER)", "SECRET=/data/is-no-path", "LABEL=z", "CPU=2", "MEM=1024",
	}
	if !slices.Equal(spec.env, want) {
		t.Errorf("env\n%q, want\n%q", spec.env, want)
	}
	if spec.dir != filepath.Join(dir.root("c"), "work") {
		t.Errorf("dir %q", spec.dir)
	}
	locked, err := buildSpec(dir, testPod(c), &c, Image{Entrypoint: []string{"/entry", "-x"}, LockEntrypoint: true}, src)
	if err != nil || locked.argv[0] != "/entry" || len(locked.argv) != 4 {
		t.Errorf("locked: %q %v", locked.argv, err)
	}
}

func TestMissingSecret(t *testing.T) {
	c := v1.Container{Name: "c", Env: []v1.EnvVar{{Name: "A", ValueFrom: &v1.EnvVarSource{
		SecretKeyRef: &v1.SecretKeySelector{LocalObjectReference: v1.LocalObjectReference{Name: "s"}, Key: "k"}}}}}
	src := &fakeSources{}
	if _, err := buildSpec(podDir(t.TempDir()), testPod(c), &c, Image{}, src); err == nil || err.Error() != `secret "s" not found` {
		t.Errorf("got %v", err)
	}
	src.secrets = map[string]map[string][]byte{"s": {}}
	if _, err := buildSpec(podDir(t.TempDir()), testPod(c), &c, Image{}, src); err == nil || !strings.Contains(err.Error(), "couldn't find key k in Secret n/s") {
		t.Errorf("got %v", err)
	}
}

func TestVolumes(t *testing.T) {
	src := &fakeSources{secrets: map[string]map[string][]byte{"s": {"a": []byte("1"), "b": []byte("2")}}}
	pod := testPod(v1.Container{Name: "c"})
	pod.Spec.Volumes = []v1.Volume{
		{Name: "sec", VolumeSource: v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "s"}}},
		{Name: "proj", VolumeSource: v1.VolumeSource{Projected: &v1.ProjectedVolumeSource{Sources: []v1.VolumeProjection{
			{ServiceAccountToken: &v1.ServiceAccountTokenProjection{Path: "token"}},
			{DownwardAPI: &v1.DownwardAPIProjection{Items: []v1.DownwardAPIVolumeFile{{Path: "deep/labels", FieldRef: &v1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
		}}}},
	}
	set := newVolumeSet(t.TempDir(), src)
	read := func(path string) string {
		data, _ := os.ReadFile(filepath.Join(set.dir, path))
		return string(data)
	}
	for range 2 {
		if err := set.mount(pod); err != nil {
			t.Fatal(err)
		}
	}
	if read("sec/a") != "1" || read("proj/token") != "token" || read("proj/deep/labels") != `app.x/y="z"` || src.tokens != 1 {
		t.Errorf("contents: %q %q %q, %d tokens", read("sec/a"), read("proj/token"), read("proj/deep/labels"), src.tokens)
	}
	src.secrets["s"] = map[string][]byte{"a": []byte("new")}
	if err := set.mount(pod); err != nil {
		t.Fatal(err)
	}
	if read("sec/a") != "new" || read("sec/b") != "" {
		t.Errorf("after the change: %q %q", read("sec/a"), read("sec/b"))
	}
	entries, _ := os.ReadDir(filepath.Join(set.dir, "sec"))
	if len(entries) != 3 { // a, ..data and what it points to
		t.Errorf("%d entries are left", len(entries))
	}
	if err := writeVolume(t.TempDir(), map[string]file{"../x": {}}); err == nil {
		t.Error("a file outside the volume was accepted")
	}
}

func runProcess(t *testing.T, script string) (*process, chan exitResult) {
	t.Helper()
	dir := t.TempDir()
	spec := &processSpec{
		argv: []string{"sh", "-c", script}, env: []string{"PATH=" + os.Getenv("PATH")}, dir: dir,
		logFile: filepath.Join(dir, "log"), terminationFile: filepath.Join(dir, "term"),
	}
	results := make(chan exitResult, 1)
	p, err := startProcess(spec, func(_ *process, r exitResult) { results <- r })
	if err != nil {
		t.Fatal(err)
	}
	return p, results
}

func TestProcessExit(t *testing.T) {
	_, results := runProcess(t, "exit 3")
	if r := <-results; r.code != 3 || r.signal != 0 {
		t.Errorf("exit 3: %+v", r)
	}
	_, results = runProcess(t, "kill -9 $$")
	if r := <-results; r.code != 137 || r.signal != 9 {
		t.Errorf("kill -9: %+v", r)
	}
}

func TestProcessGroupEndsWithItsFirstProcess(t *testing.T) {
	p, results := runProcess(t, "sleep 100 & exit 0")
	began := time.Now()
	<-results
	if time.Since(began) > drainPatience {
		t.Error("the child held the output open")
	}
	if err := syscall.Kill(-p.pid, 0); !errors.Is(err, syscall.ESRCH) {
		time.Sleep(50 * time.Millisecond) // a killed orphan is gone when init has reaped it
		if err := syscall.Kill(-p.pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Logf("the group still has a member: %v", err)
		}
	}
}

func TestTerminateKillsAfterGrace(t *testing.T) {
	p, results := runProcess(t, "trap '' TERM; while :; do sleep 0.05; done")
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	p.terminate(time.Minute)
	p.terminate(100 * time.Millisecond)
	r := <-results
	if took := time.Since(began); r.code != 137 || took < 90*time.Millisecond || took > 5*time.Second {
		t.Errorf("%+v after %v", r, took)
	}
}
