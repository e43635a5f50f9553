{{- define "vendorsync.migration-spec" -}}
backoffLimit: 6
template:
  metadata:
    labels:
      app.kubernetes.io/name: vendorsync
      app.kubernetes.io/instance: {{ .Release.Name | quote }}
      app.kubernetes.io/component: migration
      {{- with .Values.migration.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with .Values.migration.podAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    securityContext:
      {{- include "vendorsync.pod-security" .Values.migration.runAsUser | nindent 6 }}
    {{- with .Values.images.pullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    containers:
      - name: migrate
        image: {{ include "vendorsync.syncjob-image" . | quote }}
        imagePullPolicy: {{ .Values.images.pullPolicy }}
        args:
          - migrate
          - --url-file=/var/run/vendorsync/migration/owner-url
          - --run-url-file=/var/run/vendorsync/migration/run-url
          - --schema={{ .Values.migration.applicationSchema }}
          {{- if .Values.migration.policies }}
          - --policies
          {{- end }}
        resources:
          {{- toYaml .Values.migration.resources | nindent 10 }}
        securityContext:
          {{- include "vendorsync.container-security" . | nindent 10 }}
        volumeMounts:
          - {name: migration, mountPath: /var/run/vendorsync/migration, readOnly: true}
    volumes:
      # Not optional: the pod waits for the Secret, so it may be created after the chart.
      - name: migration
        secret: {secretName: {{ .Values.migration.secretName | quote }}, defaultMode: 0444}
{{- end }}

{{- /* A Job cannot be changed, and a finished one does not run again: its name follows whatever it
       would do differently. */ -}}
{{- define "vendorsync.migration" -}}
{{- $schema := 4 -}}
{{- $inputs := printf "%d\n%s" $schema (include "vendorsync.migration-spec" .) | sha256sum | trunc 6 -}}
{{- $version := regexReplaceAll "[^a-z0-9]+" (lower .Chart.AppVersion) "-" | trunc 7 | trimSuffix "-" -}}
{{- printf "%s-migrate-%s-%s" (include "vendorsync.name" .) $version $inputs -}}
{{- end }}
