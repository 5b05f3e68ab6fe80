SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
STACK := node --no-warnings hack/stack/main.ts
FILE ?=
REPLICAS ?= 1

##@ Use
.PHONY: demo up down status logs kubectl
demo: build ## Set up, start everything, run examples/, show what happened; Ctrl-C stops
	@$(STACK) demo --replicas=$(REPLICAS) $(ARGS)
up: build ## Start everything in the background and write .rambo/env (REPLICAS=2: two controllers share the runs; ARGS=--use-current-context for an existing cluster)
	@$(STACK) up --replicas=$(REPLICAS) $(ARGS)
down: ## Stop what `make up` started
	@if [ -x node_modules/.bin/node ]; then $(STACK) down; else echo 'nothing is set up here'; fi
status: setup ## Say what runs and where
	@$(STACK) status
logs: ## Follow the logs of all processes
	@tail -n 50 -F .rambo/logs/*.log

##@ Work
.PHONY: setup tools build build-chaos generate typecheck lint verify test test-unit test-integration test-all images e2e e2e-cluster bench chaos scan-secrets scan-dependencies clean
setup: ## Bring what this machine lacks: packages, Node 24, NATS, the test control plane (cached)
	@hack/setup.sh
tools: setup
	@hack/tools/tool.sh helm >/dev/null; hack/tools/tool.sh kubeconform >/dev/null; hack/tools/tool.sh prometheus >/dev/null
build: setup ## Bundle our processes into dist/
	@node hack/build/bundle.mjs
build-chaos: setup ## Bundles of their own in which failpoints are alive, into dist/chaos/
	@node hack/build/bundle.mjs chaos
generate: setup ## Write generated files anew: CRDs, policies, GraphQL schema, OpenAPI, values of the chart, health checks for Argo CD, pages of metrics and logs
	@node --no-warnings crds/generate.ts
	@node --no-warnings api/print-schema.ts
	@node --no-warnings api/print-openapi.ts
	@node --no-warnings cli/print-docs.ts
	@node --no-warnings hack/gitops/argocd-cm.ts
	@node --no-warnings hack/chart/generate.ts
	@node --no-warnings hack/docs/metrics.ts
	@node --no-warnings hack/docs/logs.ts
typecheck: setup ## Check types and the direction of imports between rooms
	@tsc -b
lint: setup ## ESLint with the rules of the house
	@eslint .
verify: setup ## Generated files fresh, types, lint, cycles; prints the house counters
	@node --no-warnings hack/verify/main.ts
test: build build-chaos tools ## The whole suite: unit, then integration against real servers (FILE=pattern for a part)
	@node --no-warnings hack/test.ts all $(FILE)
test-unit: setup tools ## Unit tests only
	@node --no-warnings hack/test.ts unit $(FILE)
test-integration: build build-chaos tools ## Integration tests only (FILE=pattern for a part)
	@node --no-warnings hack/test.ts integration $(FILE)
test-all: build build-chaos tools ## All rings; the end-to-end ring where root and containerd can be had, else the reason is printed
	@node --no-warnings hack/test.ts ci $(FILE)
images: build ## Build the images of images/Dockerfile, as root, without a container engine; prints the archive (TAG=dev; TWICE=1 proves that a second build is the same to the byte)
	@hack/images/build.sh
e2e: build tools ## The end-to-end ring, as root: a real cluster, the chart installed (FILE=pattern for a part; FILE=upgrade for N-1 to N and back; RAMBO_E2E_DIR=.rambo/e2e on the cluster of `make e2e-cluster`)
	@hack/e2e/possible.sh
	@node --no-warnings hack/test.ts e2e $(FILE)
e2e-cluster: build ## A real cluster with our images, as root, in the foreground
	@node --no-warnings hack/e2e/main.ts
bench: build ## Measure: SCENARIO=a,b or all, PROFILE=1 for CPU profiles, BASELINE=report.json to compare with
	@node --no-warnings bench/main.ts
chaos: build build-chaos ## Break a running stack: SEEDS=20, SEED=17 for one again, EXHAUSTIVE=1, DEFECTS=1
	@node --no-warnings test/chaos/main.ts
scan-secrets: ## Look for credentials in files and history (gitleaks)
	@"$$(hack/tools/tool.sh gitleaks)" git --no-banner --redact --config .gitleaks.toml .
scan-dependencies: setup ## Look for known holes in what package-lock.json and the go.sum files name: npm audit, then osv-scanner (needs the network)
	@npm audit --audit=true --audit-level=high
	@"$$(hack/tools/tool.sh osv-scanner)" scan source --recursive .
clean: ## Stop what runs; remove build output and local data (caches stay)
	@if [ -x node_modules/.bin/node ]; then $(STACK) clean; fi
	@rm -rf dist .rambo

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
