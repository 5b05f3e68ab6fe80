{{- define "rambo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Prefix of all names: 40 characters leave room for what comes behind it. */}}
{{- define "rambo.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "rambo.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Labels by which pods are selected. Call with (list . "component"). */}}
{{- define "rambo.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "rambo.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of every object. Call with (list . "component"). */}}
{{- define "rambo.labels" -}}
{{- $root := index . 0 -}}
{{ include "rambo.selector" . }}
app.kubernetes.io/part-of: rambo
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of an object. Call with (dict "root" . "name" … "component" … "annotations" (dict)), "namespace" false for cluster objects. */}}
{{- define "rambo.metadata" -}}
{{- $annotations := mergeOverwrite (dict) .root.Values.commonAnnotations (.annotations | default dict) -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ .namespace | default .root.Release.Namespace }}
{{- end }}
labels:
  {{- include "rambo.labels" (list .root .component) | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Reference of an image. Call with (list . .Values.controller.image). */}}
{{- define "rambo.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $name := $image.repository -}}
{{- with $root.Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{- define "rambo.controllerAccount" -}}
{{- .Values.controller.serviceAccount.name | default (printf "%s-controller" (include "rambo.fullname" .)) -}}
{{- end }}

{{- define "rambo.apiAccount" -}}
{{- .Values.api.serviceAccount.name | default (printf "%s-api" (include "rambo.fullname" .)) -}}
{{- end }}

{{- define "rambo.modelgatewayAccount" -}}
{{- .Values.modelgateway.serviceAccount.name | default (printf "%s-modelgateway" (include "rambo.fullname" .)) -}}
{{- end }}

{{/* Long-running processes of ours, as a JSON list. */}}
{{- define "rambo.workloads" -}}
{{- if .Values.modelgateway.enabled -}}["controller","api","modelgateway"]{{- else -}}["controller","api"]{{- end -}}
{{- end }}

{{/* Secret with the URL of Postgres. */}}
{{- define "rambo.postgresSecret" -}}
{{- if .Values.postgres.trial -}}{{ include "rambo.fullname" . }}-postgres{{- else -}}{{ .Values.postgres.existingSecret }}{{- end -}}
{{- end }}

{{- define "rambo.postgresKey" -}}
{{- if .Values.postgres.trial -}}url{{- else -}}{{ .Values.postgres.urlKey }}{{- end -}}
{{- end }}

{{/* Secret with users and seed of NATS. */}}
{{- define "rambo.natsSecret" -}}
{{- if .Values.nats.trial -}}{{ include "rambo.fullname" . }}-nats{{- else -}}{{ .Values.nats.existingSecret }}{{- end -}}
{{- end }}

{{- define "rambo.natsUrl" -}}
{{- if .Values.nats.trial -}}nats://{{ include "rambo.fullname" . }}-nats.{{ .Release.Namespace }}.svc:4222{{- else -}}{{ .Values.nats.url }}{{- end -}}
{{- end }}

{{/* Namespaces of the default pool, as JSON. */}}
{{- define "rambo.poolNamespaces" -}}
{{- if .Values.defaultPool.namespaces -}}{{ toJson .Values.defaultPool.namespaces }}
{{- else if .Values.watchNamespaces -}}{{ toJson .Values.watchNamespaces }}
{{- else -}}["default"]{{- end -}}
{{- end }}

{{/* Spec of a default pool, as JSON. */}}
{{- define "rambo.poolSpec" -}}
{{- $spec := deepCopy .Values.defaultPool.spec -}}
{{- if and .Values.imagePullSecrets (not $spec.imagePullSecrets) }}{{ $_ := set $spec "imagePullSecrets" .Values.imagePullSecrets }}{{ end -}}
{{- toJson $spec -}}
{{- end }}

{{/* Values that only make sense together. Words of a person, with the value and the way out. */}}
{{- define "rambo.check" -}}
{{- if and .Values.postgres.trial .Values.postgres.existingSecret -}}
{{- fail "postgres: give existingSecret (an external Postgres) or trial=true (one of its own), not both" -}}
{{- end -}}
{{- if not (or .Values.postgres.trial .Values.postgres.existingSecret) -}}
{{- fail "postgres: set postgres.existingSecret to a Secret with the URL of your Postgres, or postgres.trial=true for a trial" -}}
{{- end -}}
{{- if and .Values.nats.trial (or .Values.nats.existingSecret .Values.nats.url) -}}
{{- fail "nats: give existingSecret and url (an external NATS) or trial=true (one of its own), not both" -}}
{{- end -}}
{{- if not (or .Values.nats.trial (and .Values.nats.existingSecret .Values.nats.url)) -}}
{{- fail "nats: set nats.url and nats.existingSecret to your NATS, or nats.trial=true for a trial" -}}
{{- end -}}
{{- if and .Values.objectStore.endpoint (not .Values.objectStore.existingSecret) -}}
{{- fail "objectStore: set objectStore.existingSecret to a Secret with the keys of an account of your object store" -}}
{{- end -}}
{{- if and .Values.caBundle.configMap .Values.caBundle.secret -}}
{{- fail "caBundle: give configMap or secret, not both" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host: an Ingress without a host would take the requests of everybody; name the host" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: name the Gateway the route belongs to, such as [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- if .Values.watchNamespaces -}}
{{- range fromJsonArray (include "rambo.poolNamespaces" .) -}}
{{- if not (has . $.Values.watchNamespaces) -}}
{{- fail (printf "defaultPool.namespaces: %s is not one of watchNamespaces (%s)" . (join ", " $.Values.watchNamespaces)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
