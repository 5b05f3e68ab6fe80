module rambo.dev/hack/tools/crds

go 1.25.0

// Modules whose folders of definitions are read; none of their code is built.
require (
	github.com/prometheus-operator/prometheus-operator v0.88.0
	sigs.k8s.io/gateway-api v1.4.0
)
