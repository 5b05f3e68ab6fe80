package nodeagent

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
)

// file is one file of a volume made from objects.
type file struct {
	data []byte
	mode os.FileMode
}

// volumeSet makes the volumes of one pod and keeps those made from objects up to date.
type volumeSet struct {
	dir    string
	src    sources
	tokens map[string]issuedToken
}

type issuedToken struct {
	value     string
	renewFrom time.Time
}

func newVolumeSet(dir string, src sources) *volumeSet {
	return &volumeSet{dir: dir, src: src, tokens: map[string]issuedToken{}}
}

func (s *volumeSet) path(volume string) string { return filepath.Join(s.dir, volume) }

// mount makes every volume; calling it again brings the contents up to date.
func (s *volumeSet) mount(pod *v1.Pod) error {
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		dir := s.path(volume.Name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if volume.EmptyDir != nil {
			continue
		}
		files, err := s.project(pod, volume)
		if err != nil {
			return fmt.Errorf("volume %q: %w", volume.Name, err)
		}
		if err := writeVolume(dir, files); err != nil {
			return fmt.Errorf("volume %q: %w", volume.Name, err)
		}
	}
	return nil
}

// renewFrom is the earliest time at which a token of the pod should be made anew; zero when there is none.
func (s *volumeSet) renewFrom() time.Time {
	var first time.Time
	for _, t := range s.tokens {
		if first.IsZero() || t.renewFrom.Before(first) {
			first = t.renewFrom
		}
	}
	return first
}

func (s *volumeSet) project(pod *v1.Pod, volume *v1.Volume) (map[string]file, error) {
	files := map[string]file{}
	var err error
	switch {
	case volume.Secret != nil:
		v := volume.Secret
		err = s.addSecret(files, pod.Namespace, v.SecretName, v.Items, v.Optional, modeOf(v.DefaultMode))
	case volume.ConfigMap != nil:
		v := volume.ConfigMap
		err = s.addConfigMap(files, pod.Namespace, v.Name, v.Items, v.Optional, modeOf(v.DefaultMode))
	case volume.DownwardAPI != nil:
		err = addDownward(files, pod, volume.DownwardAPI.Items, modeOf(volume.DownwardAPI.DefaultMode))
	case volume.Projected != nil:
		for i := range volume.Projected.Sources {
			source := &volume.Projected.Sources[i]
			if err = s.addProjection(files, pod, volume.Name, source, modeOf(volume.Projected.DefaultMode)); err != nil {
				break
			}
		}
	default:
		err = fmt.Errorf("the process node does not support this kind of volume")
	}
	return files, err
}

func (s *volumeSet) addProjection(files map[string]file, pod *v1.Pod, volume string, p *v1.VolumeProjection, mode os.FileMode) error {
	switch {
	case p.Secret != nil:
		return s.addSecret(files, pod.Namespace, p.Secret.Name, p.Secret.Items, p.Secret.Optional, mode)
	case p.ConfigMap != nil:
		return s.addConfigMap(files, pod.Namespace, p.ConfigMap.Name, p.ConfigMap.Items, p.ConfigMap.Optional, mode)
	case p.DownwardAPI != nil:
		return addDownward(files, pod, p.DownwardAPI.Items, mode)
	case p.ServiceAccountToken != nil:
		return s.addToken(files, pod, volume, p.ServiceAccountToken)
	}
	return fmt.Errorf("the process node does not support this projection")
}

func (s *volumeSet) addSecret(files map[string]file, namespace, name string, items []v1.KeyToPath, optional *bool, mode os.FileMode) error {
	object, err := s.src.secret(namespace, name)
	if err != nil {
		return ignoreOptional(err, optional)
	}
	return addItems(files, object.Data, items, optional, mode)
}

func (s *volumeSet) addConfigMap(files map[string]file, namespace, name string, items []v1.KeyToPath, optional *bool, mode os.FileMode) error {
	object, err := s.src.configMap(namespace, name)
	if err != nil {
		return ignoreOptional(err, optional)
	}
	data := map[string][]byte{}
	for key, value := range object.Data {
		data[key] = []byte(value)
	}
	for key, value := range object.BinaryData {
		data[key] = value
	}
	return addItems(files, data, items, optional, mode)
}

func addItems(files map[string]file, data map[string][]byte, items []v1.KeyToPath, optional *bool, mode os.FileMode) error {
	if len(items) == 0 {
		for key, value := range data {
			files[key] = file{value, mode}
		}
		return nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok {
			if optional != nil && *optional {
				continue
			}
			return fmt.Errorf("references non-existent key: %s", item.Key)
		}
		itemMode := mode
		if item.Mode != nil {
			itemMode = os.FileMode(*item.Mode)
		}
		files[item.Path] = file{value, itemMode}
	}
	return nil
}

func addDownward(files map[string]file, pod *v1.Pod, items []v1.DownwardAPIVolumeFile, mode os.FileMode) error {
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = fieldValue(pod, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = resourceValue(pod, nil, item.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		itemMode := mode
		if item.Mode != nil {
			itemMode = os.FileMode(*item.Mode)
		}
		files[item.Path] = file{[]byte(value), itemMode}
	}
	return nil
}

// addToken asks for a token once and again when four fifths of its life are over, as the kubelet does.
func (s *volumeSet) addToken(files map[string]file, pod *v1.Pod, volume string, p *v1.ServiceAccountTokenProjection) error {
	key := volume + "/" + p.Path
	token, ok := s.tokens[key]
	if !ok || time.Now().After(token.renewFrom) {
		asked := time.Now()
		value, expires, err := s.src.token(pod, p)
		if err != nil {
			return fmt.Errorf("service account token: %w", err)
		}
		token = issuedToken{value, asked.Add(expires.Sub(asked) * 4 / 5)}
		s.tokens[key] = token
	}
	files[p.Path] = file{[]byte(token.value), 0o600}
	return nil
}

func modeOf(mode *int32) os.FileMode {
	if mode == nil {
		return 0o644
	}
	return os.FileMode(*mode)
}

// references says whether a pod's volumes or variables use the object.
func references(pod *v1.Pod, kind, name string) bool {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		switch {
		case v.Secret != nil && kind == "Secret" && v.Secret.SecretName == name,
			v.ConfigMap != nil && kind == "ConfigMap" && v.ConfigMap.Name == name:
			return true
		case v.Projected != nil:
			for _, p := range v.Projected.Sources {
				if p.Secret != nil && kind == "Secret" && p.Secret.Name == name ||
					p.ConfigMap != nil && kind == "ConfigMap" && p.ConfigMap.Name == name {
					return true
				}
			}
		}
	}
	return false
}
