{{/* What all pods have in common: Pod Security `restricted`, no surprises. Call with (dict "root" . "values" .Values.controller "account" name "token" true). */}}
{{- define "rambo.podSpec" -}}
{{- with .account }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .values.priorityClassName | default .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Replicas on different nodes and in different zones where there are any. Call with (list . "component"). */}}
{{- define "rambo.spread" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "rambo.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{/* Labels and annotations of pods. Call with (dict "root" . "component" … "values" … "annotations" (dict)). */}}
{{- define "rambo.podMetadata" -}}
{{- $annotations := mergeOverwrite (dict) .root.Values.commonAnnotations (.annotations | default dict) .values.podAnnotations -}}
labels:
  {{- include "rambo.labels" (list .root .component) | nindent 2 }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "rambo.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{/* Environment of controller and API besides their own. Call with (list . .Values.controller). */}}
{{- define "rambo.commonEnv" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
- name: RAMBO_LOG_LEVEL
  value: {{ $root.Values.logLevel }}
- name: RAMBO_REPLICA
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: RAMBO_POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: RAMBO_POD_UID
  valueFrom: { fieldRef: { fieldPath: metadata.uid } }
{{- with $root.Values.otlp.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with $root.Values.sentry }}
{{- if .existingSecret }}
- name: RAMBO_SENTRY_DSN
  valueFrom: { secretKeyRef: { name: {{ .existingSecret }}, key: {{ .key }} } }
{{- with .environment }}
- name: RAMBO_SENTRY_ENVIRONMENT
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- include "rambo.proxyEnv" $root }}
{{- include "rambo.extraEnv" . }}
{{- end }}

{{/* Trust and proxy, of every process of ours. */}}
{{- define "rambo.proxyEnv" -}}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/rambo/ca/{{ .Values.caBundle.key }}
{{- end }}
{{- if or .Values.proxy.https .Values.proxy.http }}
- name: NODE_USE_ENV_PROXY
  value: "1"
{{- with .Values.proxy.https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.proxy.http }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
- name: NO_PROXY
  value: {{ join "," (concat (list "localhost" "127.0.0.1" "kubernetes.default.svc" ".svc" ".cluster.local") .Values.proxy.noProxy) | quote }}
{{- end }}
{{- end }}

{{- define "rambo.extraEnv" -}}
{{- with (concat (index . 0).Values.extraEnv (index . 1).extraEnv) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "rambo.caVolume" -}}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret }}
- name: ca
  {{- if .Values.caBundle.configMap }}
  configMap: { name: {{ .Values.caBundle.configMap }} }
  {{- else }}
  secret: { secretName: {{ .Values.caBundle.secret }} }
  {{- end }}
{{- end }}
{{- end }}

{{- define "rambo.caMount" -}}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret }}
- { name: ca, mountPath: /etc/rambo/ca, readOnly: true }
{{- end }}
{{- end }}

{{/* Probes that tell busy from dead: a process that answers within 5 s once a minute is alive; one that names what it lacks is not ready. */}}
{{- define "rambo.probes" -}}
livenessProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 2
  timeoutSeconds: 4
  failureThreshold: 3
startupProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
{{- end }}
