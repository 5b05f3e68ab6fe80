package nodeagent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// processSpec is everything that starting a container's process takes.
type processSpec struct {
	argv            []string
	env             []string
	dir             string
	logFile         string
	terminationFile string
	paths           *pathMap
}

// podDir knows where a pod's files are.
type podDir string

func (d podDir) volumes() string              { return filepath.Join(string(d), "volumes") }
func (d podDir) home() string                 { return filepath.Join(string(d), "home") }
func (d podDir) container(name string) string { return filepath.Join(string(d), name) }
func (d podDir) root(name string) string      { return filepath.Join(string(d), name, "root") }
func (d podDir) record(name string) string    { return filepath.Join(string(d), name, "record.json") }
func (d podDir) log(name string) string       { return filepath.Join(string(d), name+".log") }
func (d podDir) termination(name string) string {
	return filepath.Join(string(d), name, "termination-log")
}

func buildSpec(dir podDir, pod *v1.Pod, container *v1.Container, image Image, src sources) (processSpec, error) {
	vars, err := podVariables(pod, container, src)
	if err != nil {
		return processSpec{}, err
	}
	paths, err := containerPaths(dir, container, vars)
	if err != nil {
		return processSpec{}, err
	}
	spec := processSpec{
		argv: commandLine(container, image, vars, paths), env: environment(dir, image, vars, paths),
		logFile: dir.log(container.Name), terminationFile: dir.termination(container.Name), paths: paths,
	}
	spec.dir, err = workingDir(dir, container, image, paths)
	return spec, err
}

// containerPaths maps the container's mounts and its termination log to the folders they really are in.
func containerPaths(dir podDir, container *v1.Container, vars *variables) (*pathMap, error) {
	paths := &pathMap{}
	for _, mount := range container.VolumeMounts {
		to := filepath.Join(dir.volumes(), mount.Name)
		sub := mount.SubPath
		if mount.SubPathExpr != "" {
			sub = expand(mount.SubPathExpr, vars.lookup)
		}
		if sub != "" {
			if filepath.IsAbs(sub) || strings.Contains("/"+sub+"/", "/../") {
				return nil, fmt.Errorf("subPath %q must be inside the volume", sub)
			}
			to = filepath.Join(to, sub)
			if _, err := os.Stat(to); errors.Is(err, os.ErrNotExist) {
				if err := os.MkdirAll(to, 0o777); err != nil {
					return nil, err
				}
			}
		}
		paths.add(mount.MountPath, to)
	}
	termination := container.TerminationMessagePath
	if termination == "" {
		termination = v1.TerminationMessagePathDefault
	}
	paths.add(termination, dir.termination(container.Name))
	return paths, nil
}

// commandLine follows the kubelet: command replaces the image's entrypoint, args are appended, $(VAR) is expanded. The image's
// own entrypoint is of this machine and is left as it is.
func commandLine(container *v1.Container, image Image, vars *variables, paths *pathMap) []string {
	argv := append([]string(nil), image.Entrypoint...)
	if len(container.Command) > 0 && !image.LockEntrypoint {
		argv = nil
		for _, word := range container.Command {
			argv = append(argv, paths.rewrite(expand(word, vars.lookup)))
		}
	}
	for _, word := range container.Args {
		argv = append(argv, paths.rewrite(expand(word, vars.lookup)))
	}
	return argv
}

// environment is all that the process gets: of this machine's own variables only PATH.
func environment(dir podDir, image Image, vars *variables, paths *pathMap) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir.home()}
	for name, value := range image.Env {
		env = append(env, name+"="+value)
	}
	for _, name := range vars.names {
		value := vars.values[name]
		if !vars.opaque[name] {
			value = paths.rewrite(value)
		}
		env = append(env, name+"="+value)
	}
	return env
}

func workingDir(dir podDir, container *v1.Container, image Image, paths *pathMap) (string, error) {
	switch {
	case container.WorkingDir != "":
		to := paths.rewrite(filepath.Clean(container.WorkingDir))
		if to == filepath.Clean(container.WorkingDir) {
			to = filepath.Join(dir.root(container.Name), to)
		}
		return to, os.MkdirAll(to, 0o777)
	case image.WorkingDir != "":
		return image.WorkingDir, nil
	default:
		return dir.home(), nil
	}
}

// findProgram looks argv[0] up in the PATH that the process will have, which the pod may have set.
func findProgram(spec *processSpec) (string, error) {
	if len(spec.argv) == 0 {
		return "", errors.New("no command specified")
	}
	name := spec.argv[0]
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(spec.dir, name)
		}
		return name, nil
	}
	searchPath := ""
	for _, entry := range spec.env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			searchPath = value
		}
	}
	for _, dir := range filepath.SplitList(searchPath) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", name)
}
