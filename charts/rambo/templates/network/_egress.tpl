{{- define "rambo.egressDns" -}}
- to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ .Values.networkPolicy.dnsNamespace }} } } }]
  ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
{{- end }}

{{/* Call with a list of addresses. */}}
{{- define "rambo.cidrs" -}}
to:
  {{- range . }}
  - ipBlock: { cidr: {{ . | quote }} }
  {{- end }}
{{- end }}

{{- define "rambo.egressApiServer" -}}
- {{ include "rambo.cidrs" .Values.networkPolicy.apiServerCidrs | nindent 2 | trim }}
  ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
{{- end }}

{{- define "rambo.egressPostgres" -}}
{{- if .Values.postgres.trial -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "rambo.selector" (list . "postgres") | nindent 10 }}
  ports: [{ port: 5432, protocol: TCP }]
{{- else -}}
- {{ include "rambo.cidrs" .Values.networkPolicy.postgresCidrs | nindent 2 | trim }}
  ports: [{ port: {{ .Values.networkPolicy.postgresPort }}, protocol: TCP }]
{{- end }}
{{- end }}

{{- define "rambo.egressNats" -}}
{{- if .Values.nats.trial -}}
- to:
    - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ .Release.Namespace }} } }
      podSelector:
        matchLabels:
          {{- include "rambo.selector" (list . "nats") | nindent 10 }}
  ports: [{ port: 4222, protocol: TCP }]
{{- else -}}
- {{ include "rambo.cidrs" .Values.networkPolicy.natsCidrs | nindent 2 | trim }}
  ports: [{ port: {{ .Values.networkPolicy.natsPort }}, protocol: TCP }]
{{- end }}
{{- end }}

{{/* What every runner has to reach. */}}
{{- define "rambo.egressRunners" -}}
{{ include "rambo.egressDns" . }}
{{ include "rambo.egressNats" . }}
{{- if .Values.modelgateway.enabled }}
- to:
    - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ .Release.Namespace }} } }
      podSelector:
        matchLabels:
          {{- include "rambo.selector" (list . "modelgateway") | nindent 10 }}
  ports: [{ port: 8080, protocol: TCP }]
{{- end }}
{{- end }}

{{/* Pods of runners in any namespace: of pools, and of one attempt. As `from`. */}}
{{- define "rambo.fromRunners" -}}
{{- range list "rambo.dev/pool" "rambo.dev/run-id" }}
- namespaceSelector: {}
  podSelector: { matchExpressions: [{ key: {{ . }}, operator: Exists }] }
{{- end }}
{{- end }}

{{/* The internet, without private addresses. As `to`. */}}
{{- define "rambo.toPublic" -}}
- ipBlock:
    cidr: 0.0.0.0/0
    except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
- ipBlock:
    cidr: ::/0
    except: ["fc00::/7", "fe80::/10"]
{{- end }}
