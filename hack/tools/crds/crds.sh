#!/usr/bin/env bash
# Definitions of other projects' kinds that the chart can make objects of, from their Go modules (pinned in go.mod, hashes in go.sum).
# Prints the files, one a line.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
folder() { go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'; }
operator=$(folder github.com/prometheus-operator/prometheus-operator)/example/prometheus-operator-crd
gateway=$(folder sigs.k8s.io/gateway-api)/config/crd/standard
ls "$operator/monitoring.coreos.com_servicemonitors.yaml" "$operator/monitoring.coreos.com_prometheusrules.yaml" "$gateway/gateway.networking.k8s.io_httproutes.yaml"
