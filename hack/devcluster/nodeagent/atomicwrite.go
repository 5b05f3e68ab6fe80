package nodeagent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const dataLink = "..data"

// writeVolume puts the files into dir so that a reader sees either all old or all new ones, with the layout of the kubelet:
// the files are in a hidden folder, "..data" is a link to it, each name is a link into "..data", and an update swaps "..data".
func writeVolume(dir string, files map[string]file) error {
	for name := range files {
		if name == "" || filepath.IsAbs(name) || strings.HasPrefix(name, "..") || strings.Contains(name, "/../") {
			return fmt.Errorf("bad file name %q", name)
		}
	}
	old, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if old != "" && sameFiles(filepath.Join(dir, old), files) {
		return nil
	}
	fresh, err := os.MkdirTemp(dir, "..v")
	if err != nil {
		return err
	}
	if err := writeFiles(fresh, files); err != nil {
		return err
	}
	if err := swapLink(filepath.Join(dir, dataLink), filepath.Base(fresh)); err != nil {
		return err
	}
	if err := linkNames(dir, files); err != nil {
		return err
	}
	if old != "" {
		return os.RemoveAll(filepath.Join(dir, old))
	}
	return nil
}

func writeFiles(dir string, files map[string]file) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for name, f := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return err
		}
		if err := os.Chmod(path, f.mode); err != nil {
			return err
		}
	}
	return nil
}

// linkNames makes dir/x for every x at the top of the volume and removes links to what is no longer there.
func linkNames(dir string, files map[string]file) error {
	wanted := map[string]bool{}
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		wanted[top] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, "..") && !wanted[name] {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	for name := range wanted {
		err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

func swapLink(link, target string) error {
	tmp := link + "_tmp"
	_ = os.Remove(tmp)
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, link)
}

func sameFiles(dir string, files map[string]file) bool {
	count := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		count++
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		want, ok := files[name]
		if !ok {
			return errors.New("no longer there")
		}
		have, err := os.ReadFile(path)
		if err == nil && !bytes.Equal(have, want.data) {
			err = errors.New("changed")
		}
		return err
	})
	return err == nil && count == len(files)
}
