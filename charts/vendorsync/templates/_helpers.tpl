{{- define "vendorsync.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "vendorsync.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
app.kubernetes.io/name: vendorsync
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "vendorsync.selector" -}}
app.kubernetes.io/name: vendorsync
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "vendorsync.image" -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end }}

{{- /* A Job cannot be changed, so whatever goes into it goes into its name. */ -}}
{{- define "vendorsync.migration" -}}
{{- /* A finished Job does not run again, so its name follows whatever it would do differently. */ -}}
{{- $schema := 3 -}}
{{- $inputs := dict "schema" $schema "migration" .Values.migration "images" .Values.images | toJson | sha256sum | trunc 6 -}}
{{- printf "%s-migrate-%s-%s" (include "vendorsync.name" .) (.Chart.AppVersion | replace "." "-") $inputs -}}
{{- end }}

{{- define "vendorsync.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "vendorsync.pod-security" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
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
