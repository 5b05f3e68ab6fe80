package nodeagent

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
)

// variables is an ordered set of environment variables.
type variables struct {
	names  []string
	values map[string]string
	// opaque names are never rewritten: a secret is not a path even when it has one in it.
	opaque map[string]bool
}

func newVariables() *variables {
	return &variables{values: map[string]string{}, opaque: map[string]bool{}}
}

func (v *variables) set(name, value string, opaque bool) {
	if _, again := v.values[name]; !again {
		v.names = append(v.names, name)
	}
	v.values[name], v.opaque[name] = value, opaque
}

func (v *variables) lookup(name string) (string, bool) {
	value, ok := v.values[name]
	return value, ok
}

// podVariables resolves a container's envFrom and env, in the order of the kubelet.
func podVariables(pod *v1.Pod, container *v1.Container, src sources) (*variables, error) {
	vars := newVariables()
	for i := range container.EnvFrom {
		if err := addEnvFrom(vars, pod.Namespace, &container.EnvFrom[i], src); err != nil {
			return nil, err
		}
	}
	for i := range container.Env {
		if err := addEnv(vars, pod, container, &container.Env[i], src); err != nil {
			return nil, err
		}
	}
	return vars, nil
}

func addEnvFrom(vars *variables, namespace string, from *v1.EnvFromSource, src sources) error {
	if ref := from.ConfigMapRef; ref != nil {
		object, err := src.configMap(namespace, ref.Name)
		if err != nil {
			return ignoreOptional(err, ref.Optional)
		}
		for name, value := range object.Data {
			vars.set(from.Prefix+name, value, false)
		}
	}
	if ref := from.SecretRef; ref != nil {
		object, err := src.secret(namespace, ref.Name)
		if err != nil {
			return ignoreOptional(err, ref.Optional)
		}
		for name, value := range object.Data {
			vars.set(from.Prefix+name, string(value), true)
		}
	}
	return nil
}

func addEnv(vars *variables, pod *v1.Pod, container *v1.Container, env *v1.EnvVar, src sources) error {
	if env.ValueFrom == nil {
		vars.set(env.Name, expand(env.Value, vars.lookup), false)
		return nil
	}
	from := env.ValueFrom
	switch {
	case from.FieldRef != nil:
		value, err := fieldValue(pod, from.FieldRef.FieldPath)
		vars.set(env.Name, value, false)
		return err
	case from.ResourceFieldRef != nil:
		value, err := resourceValue(pod, container, from.ResourceFieldRef)
		vars.set(env.Name, value, false)
		return err
	case from.SecretKeyRef != nil:
		return addSecretKey(vars, pod.Namespace, env.Name, from.SecretKeyRef, src)
	case from.ConfigMapKeyRef != nil:
		return addConfigMapKey(vars, pod.Namespace, env.Name, from.ConfigMapKeyRef, src)
	}
	return fmt.Errorf("variable %s: the process node does not support this valueFrom", env.Name)
}

func addSecretKey(vars *variables, namespace, name string, ref *v1.SecretKeySelector, src sources) error {
	object, err := src.secret(namespace, ref.Name)
	if err != nil {
		return ignoreOptional(err, ref.Optional)
	}
	value, ok := object.Data[ref.Key]
	if ok {
		vars.set(name, string(value), true)
	} else if ref.Optional == nil || !*ref.Optional {
		return fmt.Errorf("couldn't find key %s in Secret %s/%s", ref.Key, namespace, ref.Name)
	}
	return nil
}

func addConfigMapKey(vars *variables, namespace, name string, ref *v1.ConfigMapKeySelector, src sources) error {
	object, err := src.configMap(namespace, ref.Name)
	if err != nil {
		return ignoreOptional(err, ref.Optional)
	}
	value, ok := object.Data[ref.Key]
	if ok {
		vars.set(name, value, false)
	} else if ref.Optional == nil || !*ref.Optional {
		return fmt.Errorf("couldn't find key %s in ConfigMap %s/%s", ref.Key, namespace, ref.Name)
	}
	return nil
}

func ignoreOptional(err error, optional *bool) error {
	if missingButOptional(err, optional) {
		return nil
	}
	return err
}
