{{- /* The release's name, short enough for what is added to it. A name that is cut ends in a hash, so
       that two long names stay two. */ -}}
{{- define "vendorsync.name" -}}
{{- if le (len .Release.Name) 40 -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" (regexReplaceAll "[.-]+$" (trunc 33 .Release.Name) "") (.Release.Name | sha256sum | trunc 6) -}}
{{- end -}}
{{- end }}

{{- /* Every namespace has a service account "default" already. */ -}}
{{- define "vendorsync.account" -}}
{{- $name := include "vendorsync.name" . -}}
{{- eq $name "default" | ternary "vendorsync-default" $name -}}
{{- end }}

{{- /* The name of what belongs to no namespace. A release may be called view, edit or admin, as
       roles of Kubernetes are; no release has a colon in its name. */ -}}
{{- define "vendorsync.cluster-name" -}}
{{- $name := include "vendorsync.name" . -}}
{{- contains "vendorsync" $name | ternary $name (printf "vendorsync:%s" $name) -}}
{{- end }}

{{- define "vendorsync.version" -}}
{{- regexReplaceAll "[._-]+$" (. | replace "+" "_" | trunc 63) "" -}}
{{- end }}

{{- define "vendorsync.labels" -}}
helm.sh/chart: {{ include "vendorsync.version" (printf "%s-%s" .Chart.Name .Chart.Version) | quote }}
app.kubernetes.io/name: vendorsync
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ include "vendorsync.version" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end }}

{{- define "vendorsync.selector" -}}
app.kubernetes.io/name: vendorsync
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{- /* What tells the objects of this operator from those of another one, as the value of a label. */ -}}
{{- define "vendorsync.instance" -}}
{{- $whole := .Values.instance | default (printf "%s.%s" .Release.Namespace .Release.Name) -}}
{{- if le (len $whole) 63 -}}
{{- $whole -}}
{{- else -}}
{{- printf "%s-%s" (regexReplaceAll "[._-]+$" (trunc 56 $whole) "") ($whole | sha256sum | trunc 6) -}}
{{- end -}}
{{- end }}

{{- /* Numbers of a values file are floating: their digits have to be asked for. */ -}}
{{- define "vendorsync.image" -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion -}}
{{- if kindIs "float64" $tag -}}
{{- if lt $tag 1000.0 -}}
{{- fail (printf "%s.tag is the number %v, and a values file cannot tell %v from %.1f; put the tag in quotes." .title $tag $tag $tag) -}}
{{- end -}}
{{- $tag = printf "%.0f" $tag -}}
{{- end -}}
{{- printf "%s:%v" .image.repository $tag -}}
{{- end }}

{{- define "vendorsync.operator-image" -}}
{{- include "vendorsync.image" (dict "image" .Values.images.operator "title" "images.operator" "root" .) -}}
{{- end }}

{{- define "vendorsync.syncjob-image" -}}
{{- include "vendorsync.image" (dict "image" .Values.images.syncjob "title" "images.syncjob" "root" .) -}}
{{- end }}

{{- define "vendorsync.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Takes the user, empty to leave it to the cluster. */ -}}
{{- define "vendorsync.pod-security" -}}
runAsNonRoot: true
{{- with . }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* The same for the environment of the operator. */ -}}
{{- define "vendorsync.user" -}}
{{- if . -}}{{- int64 . -}}{{- else -}}none{{- end -}}
{{- end }}

{{- define "vendorsync.lease" -}}
{{- include "vendorsync.name" . -}}-operator
{{- end }}

{{- define "vendorsync.rules" -}}
- apiGroups: [vendorsync.dev]
  resources: [vendorsyncs]
  verbs: [get, list, watch]
- apiGroups: [vendorsync.dev]
  resources: [vendorsyncs/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create]
- apiGroups: [""]
  resources: [pods, events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
