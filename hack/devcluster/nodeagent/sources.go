package nodeagent

import (
	"context"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
)

const sourceTimeout = 10 * time.Second

// sources gives pods the objects that their variables and volumes are made from.
type sources interface {
	secret(namespace, name string) (*v1.Secret, error)
	configMap(namespace, name string) (*v1.ConfigMap, error)
	token(pod *v1.Pod, projection *v1.ServiceAccountTokenProjection) (string, time.Time, error)
}

// apiSources reads from the watch caches, and asks the API server for what is not there: an object made just before its pod
// may come after it.
type apiSources struct {
	client     kubernetes.Interface
	secrets    corelisters.SecretLister
	configMaps corelisters.ConfigMapLister
}

func (s *apiSources) secret(namespace, name string) (*v1.Secret, error) {
	if found, err := s.secrets.Secrets(namespace).Get(name); err == nil {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout)
	defer cancel()
	found, err := s.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	return found, asKubelet(err, "secret", name)
}

func (s *apiSources) configMap(namespace, name string) (*v1.ConfigMap, error) {
	if found, err := s.configMaps.ConfigMaps(namespace).Get(name); err == nil {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout)
	defer cancel()
	found, err := s.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	return found, asKubelet(err, "configmap", name)
}

// asKubelet words a missing object as the kubelet does, with the kind in the singular.
func asKubelet(err error, kind, name string) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(v1.Resource(kind), name)
	}
	return err
}

func (s *apiSources) token(pod *v1.Pod, p *v1.ServiceAccountTokenProjection) (string, time.Time, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: p.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if p.Audience != "" {
		request.Spec.Audiences = []string{p.Audience}
	}
	ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout)
	defer cancel()
	answer, err := s.client.CoreV1().ServiceAccounts(pod.Namespace).
		CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return "", time.Time{}, err
	}
	return answer.Status.Token, answer.Status.ExpirationTimestamp.Time, nil
}

// missingButOptional says whether err only means that an optional object is not there.
func missingButOptional(err error, optional *bool) bool {
	return apierrors.IsNotFound(err) && optional != nil && *optional
}
