{{- /* Other operators that watch what this one watches, as a text; empty where there are none or
       where no cluster can be asked (helm template). A role that lets its holder write the status of
       VendorSyncs is what every one of them has, in the namespaces that it watches. */ -}}
{{- define "vendorsync.others" -}}
{{- $root := . -}}
{{- $roles := list -}}
{{- if .Values.warnOfOtherReleases -}}
{{- range $namespace := .Values.watch.namespaces | default (list "") -}}
{{- $roles = concat $roles ((lookup "rbac.authorization.k8s.io/v1" "Role" $namespace "").items | default list) -}}
{{- end -}}
{{- /* Who installs into named namespaces only may be unable to read what belongs to none. */ -}}
{{- if or (empty .Values.watch.namespaces) .Values.crds.enabled .Values.aggregateRoles -}}
{{- $roles = concat $roles ((lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "").items | default list) -}}
{{- end -}}
{{- end -}}
{{- $found := list -}}
{{- range $role := $roles -}}
{{- $labels := $role.metadata.labels | default dict -}}
{{- if and (eq (get $labels "app.kubernetes.io/name") "vendorsync") (include "vendorsync.writes-status" $role) -}}
{{- $notes := $role.metadata.annotations | default dict -}}
{{- $name := get $notes "meta.helm.sh/release-name" -}}
{{- $namespace := get $notes "meta.helm.sh/release-namespace" -}}
{{- if not $name -}}
{{- $found = append $found (printf "the operator %s (installed without Helm)" (get $labels "app.kubernetes.io/instance")) -}}
{{- else if or (ne $name $root.Release.Name) (ne $namespace $root.Release.Namespace) -}}
{{- $found = append $found (printf "the release %s in the namespace %s" $name $namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $found | uniq | sortAlpha | join " and " -}}
{{- end }}

{{- define "vendorsync.writes-status" -}}
{{- range .rules -}}
{{- if and (has "vendorsyncs/status" (.resources | default list)) (has "patch" .verbs) -}}yes{{- end -}}
{{- end -}}
{{- end }}
