package nodeagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// Image says how an image's program is started on this machine.
type Image struct {
	// Entrypoint takes the place of the image's own entrypoint; its paths are those of this machine.
	Entrypoint []string `json:"entrypoint"`
	// LockEntrypoint keeps Entrypoint even when the pod has a command: the pod names a program of the real image, which is
	// not on this machine.
	LockEntrypoint bool `json:"lockEntrypoint,omitempty"`
	// Env is what the image itself would set.
	Env map[string]string `json:"env,omitempty"`
	// WorkingDir is where the process starts when the pod does not say; the default is a private folder.
	WorkingDir string `json:"workingDir,omitempty"`
}

// ImageMap is the set of images a node has.
type ImageMap struct {
	Images map[string]Image `json:"images"`
}

var errNoImage = errors.New("the image is not in this node's image map")

// imageName is the reference without tag and digest.
func imageName(ref string) string {
	if at := strings.IndexByte(ref, '@'); at >= 0 {
		ref = ref[:at]
	}
	// A colon before the last slash belongs to a registry's port.
	if colon := strings.LastIndexByte(ref, ':'); colon > strings.LastIndexByte(ref, '/') {
		ref = ref[:colon]
	}
	return ref
}

// Find looks a reference up: an exact entry (with tag, then without) wins over a pattern, a longer pattern over a shorter.
func (m ImageMap) Find(ref string) (Image, error) {
	name := imageName(ref)
	for _, key := range []string{ref, name} {
		if image, ok := m.Images[key]; ok {
			return image, nil
		}
	}
	best := ""
	for key := range m.Images {
		if imageName(key) == name {
			return m.Images[key], nil
		}
		if ok, err := path.Match(key, name); err == nil && ok && len(key) > len(best) {
			best = key
		}
	}
	if best == "" {
		return Image{}, errNoImage
	}
	return m.Images[best], nil
}

// imageFile reads the image map again whenever its file has changed.
type imageFile struct {
	file string

	mu      sync.Mutex
	modTime time.Time
	size    int64
	current ImageMap
}

func newImageFile(file string) *imageFile {
	return &imageFile{file: file, current: ImageMap{Images: map[string]Image{"local/*": {}}}}
}

func (f *imageFile) find(ref string) (Image, error) {
	m, err := f.load()
	if err != nil {
		return Image{}, err
	}
	return m.Find(ref)
}

func (f *imageFile) load() (ImageMap, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == "" {
		return f.current, nil
	}
	info, err := os.Stat(f.file)
	if err != nil {
		return ImageMap{}, fmt.Errorf("image map: %w", err)
	}
	if info.ModTime().Equal(f.modTime) && info.Size() == f.size {
		return f.current, nil
	}
	data, err := os.ReadFile(f.file)
	if err != nil {
		return ImageMap{}, fmt.Errorf("image map: %w", err)
	}
	var next ImageMap
	if err := json.Unmarshal(data, &next); err != nil {
		return ImageMap{}, fmt.Errorf("image map %s: %w", f.file, err)
	}
	f.current, f.modTime, f.size = next, info.ModTime(), info.Size()
	return next, nil
}
