{{- /* What values.schema.json cannot say. Each refusal is one sentence with the value at fault: what
       passed here by mistake would end the operator, or have the API server refuse a pod. */ -}}
{{- define "vendorsync.checks" -}}
{{- include "vendorsync.check-windows" .Values.defaults -}}
{{- include "vendorsync.check-cron" (.Values.defaults.cron | default "" | trim) -}}
{{- include "vendorsync.check-zone" .Values.defaults.timeZone -}}
{{- range $part := list "operator" "migration" -}}
{{- range $key, $_ := (index $.Values $part).podLabels -}}
{{- if has $key (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component") -}}
{{- fail (printf "%s.podLabels sets %s, which the chart sets itself; use another key." $part $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "podLabels" "podAnnotations" -}}
{{- range $key, $_ := index $.Values.runs $name -}}
{{- if regexMatch "^(([a-z0-9.-]+\\.)?(vendorsync\\.dev|batch\\.kubernetes\\.io)/.*|app\\.kubernetes\\.io/managed-by|job-name|controller-uid)$" $key -}}
{{- fail (printf "runs.%s sets %s, which VendorSync or Kubernetes sets itself; use another key." $name $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vendorsync.check-windows" -}}
{{- $start := .windowStart | default "" -}}
{{- $end := .windowEnd | default "" -}}
{{- if ne (empty $start) (empty $end) -}}
{{- fail (printf "defaults.windowStart is %q and defaults.windowEnd is %q; give both, or leave both empty for no restricted hours." $start $end) -}}
{{- end -}}
{{- if and $start (eq $start $end) -}}
{{- fail (printf "defaults.windowStart and defaults.windowEnd are both %q; make the window end later, or leave both empty for no restricted hours." $start) -}}
{{- end -}}
{{- end }}

{{- /* Takes the expression; follows what the operator reads, which is what Kubernetes reads. */ -}}
{{- define "vendorsync.check-cron" -}}
{{- $text := . -}}
{{- if $text -}}
{{- $fields := regexSplit "\\s+" $text -1 -}}
{{- if ne (len $fields) 5 -}}
{{- fail (printf "defaults.cron is %q with %d fields; write minute, hour, day of month, month and day of week." $text (len $fields)) -}}
{{- end -}}
{{- $kinds := list
  (dict "title" "minute" "low" 0 "high" 59 "names" dict)
  (dict "title" "hour" "low" 0 "high" 23 "names" dict)
  (dict "title" "day of month" "low" 1 "high" 31 "names" dict)
  (dict "title" "month" "low" 1 "high" 12 "names" (dict "jan" "1" "feb" "2" "mar" "3" "apr" "4" "may" "5" "jun" "6" "jul" "7" "aug" "8" "sep" "9" "oct" "10" "nov" "11" "dec" "12"))
  (dict "title" "day of week" "low" 0 "high" 6 "names" (dict "sun" "0" "mon" "1" "tue" "2" "wed" "3" "thu" "4" "fri" "5" "sat" "6"))
-}}
{{- range $index, $field := $fields -}}
{{- $kind := index $kinds $index -}}
{{- range $part := splitList "," $field -}}
{{- $sentence := printf "defaults.cron is %q, and its %s %q is not a star, a value or a range from %v to %v, with or without a step." $text $kind.title $part $kind.low $kind.high -}}
{{- $value := printf "([0-9]{1,3}%s)" (keys $kind.names | sortAlpha | join "|" | printf "|%s" | trimSuffix "|") -}}
{{- $read := lower $part -}}
{{- if not (regexMatch (printf "^([*?]|%s(-%s)?)(/[0-9]{1,3})?$" $value $value) $read) -}}
{{- fail $sentence -}}
{{- end -}}
{{- range $name, $number := $kind.names -}}
{{- $read = $read | replace $name $number -}}
{{- end -}}
{{- /* A leading zero would have Helm read a number as octal. */ -}}
{{- $numbers := list -}}
{{- range regexFindAll "[0-9]+" $read -1 -}}
{{- $numbers = append $numbers (regexReplaceAll "^0+([0-9])" . "${1}" | int) -}}
{{- end -}}
{{- $step := contains "/" $read | ternary (last $numbers) 1 -}}
{{- if or (lt $step 1) (gt $step $kind.high) -}}
{{- fail $sentence -}}
{{- end -}}
{{- $span := contains "/" $read | ternary (initial $numbers) $numbers -}}
{{- range $span -}}
{{- if or (lt . $kind.low) (gt . $kind.high) -}}
{{- fail $sentence -}}
{{- end -}}
{{- end -}}
{{- if and $span (gt (first $span) (last $span)) -}}
{{- fail (printf "defaults.cron is %q, and its %s %q ends before it starts." $text $kind.title $part) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The areas of the IANA database, and its names without an area. */ -}}
{{- define "vendorsync.zones" -}}
^((Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Brazil|Canada|Chile|Etc|Europe|Indian|Mexico|Pacific|US)(/[A-Za-z0-9_+-]+){1,2}|CET|CST6CDT|Cuba|EET|EST|EST5EDT|Egypt|Eire|GB|GB-Eire|GMT|GMT[+-]?0|Greenwich|HST|Hongkong|Iceland|Iran|Israel|Jamaica|Japan|Kwajalein|Libya|MET|MST|MST7MDT|NZ|NZ-CHAT|Navajo|PRC|PST8PDT|Poland|Portugal|ROC|ROK|Singapore|Turkey|UCT|UTC|Universal|W-SU|WET|Zulu)$
{{- end }}

{{- /* A template cannot list the zones, but it can format a moment: in a zone that is unknown it
       comes out in UTC. Helm may run where there is no database at all, so a zone that every
       database has is tried first. */ -}}
{{- define "vendorsync.check-zone" -}}
{{- $sentence := printf "defaults.timeZone is %q, which is no time zone of the IANA database; write for example Asia/Kolkata, Europe/Berlin or UTC." . -}}
{{- if not (regexMatch (include "vendorsync.zones" .) .) -}}
{{- fail $sentence -}}
{{- end -}}
{{- $moment := 1767225600 -}}
{{- if eq (dateInZone "MST" $moment "Asia/Kolkata") "IST" -}}
{{- if and (eq (dateInZone "MST" $moment .) "UTC") (not (regexMatch "^(Etc/)?(UCT|UTC|Universal|Zulu)$" .)) -}}
{{- fail $sentence -}}
{{- end -}}
{{- end -}}
{{- end }}
