{{- /*
crowsnest.rules fills a file of files/rules: (list $ path settings). Settings
have alerts by name or ID, excludeNamespaces, excludeGroups, runbooks and
dashboards.
*/ -}}
{{- define "crowsnest.rules" -}}
{{- $settings := index . 2 }}
{{- $groups := list }}
{{- range $group := (fromYaml ((index . 0).Files.Get (index . 1))).groups }}
  {{- $rules := list }}
  {{- range $group.rules }}
    {{- if .record }}
      {{- $rules = append $rules . }}
    {{- else }}
      {{- $rules = concat $rules (include "crowsnest.alerts" (list . $settings) | fromYamlArray) }}
    {{- end }}
  {{- end }}
  {{- if and $rules (not (has $group.name $settings.excludeGroups)) }}
    {{- $groups = append $groups (set $group "rules" $rules) }}
  {{- end }}
{{- end }}
{{- toYaml (dict "groups" $groups) }}
{{- end }}

{{- /*
crowsnest.alerts makes a list of one rule, and of one more for each entry of the
alert's namespaces, which take their namespaces away from the rules after them.
*/ -}}
{{- define "crowsnest.alerts" -}}
{{- $rule := index . 0 }}
{{- $settings := index . 1 }}
{{- $own := dict }}
{{- range $name := list $rule.alert $rule.id }}
  {{- $own = mergeOverwrite $own (deepCopy (get $settings.alerts $name | default dict)) }}
{{- end }}
{{- $variants := list }}
{{- $taken := list }}
{{- if $rule.namespaced }}
  {{- $taken = $settings.excludeNamespaces }}
  {{- range $own.namespaces }}
    {{- $matcher := printf ",namespace=~%q" .match }}
    {{- with $taken }}{{ $matcher = printf "%s,namespace!~%q" $matcher (join "|" .) }}{{ end }}
    {{- $variants = append $variants (mergeOverwrite (deepCopy $own) (deepCopy .) (dict "ns" $matcher)) }}
    {{- $taken = append $taken .match }}
  {{- end }}
{{- else if $own.namespaces }}
  {{- fail (printf "prometheusRule.alerts.%s: this alert has no namespaces" $rule.id) }}
{{- end }}
{{- $variants = append $variants (merge (dict "ns" (empty $taken | ternary "" (printf ",namespace!~%q" (join "|" $taken)))) $own) }}
{{- $rules := list }}
{{- range $variant := $variants }}
  {{- if ne (toString $variant.enabled) "false" }}
    {{- $values := merge (dict "ns" .ns) (.parameters | default dict) ($rule.parameters | default dict) (pick $settings "runbooks" "dashboards") }}
    {{- range $name := keys (.parameters | default dict) }}
      {{- if not (hasKey ($rule.parameters | default dict) $name) }}
        {{- fail (printf "prometheusRule.alerts.%s.parameters: there is no %s" $rule.id $name) }}
      {{- end }}
    {{- end }}
    {{- $labels := merge (dict "severity" (.severity | default $rule.severity)) (.labels | default dict) ($rule.labels | default dict) }}
    {{- $texts := merge (dict "expr" $rule.expr) $rule.annotations }}
    {{- range $name, $value := $values }}
      {{- range $key, $text := $texts }}
        {{- $_ := set $texts $key (replace (printf "<%s>" $name) (toString $value) $text) }}
      {{- end }}
    {{- end }}
    {{- $made := dict "alert" $rule.alert "expr" $texts.expr "labels" $labels "annotations" (omit $texts "expr") }}
    {{- with hasKey . "for" | ternary .for $rule.for }}{{ $_ := set $made "for" . }}{{ end }}
    {{- $rules = append $rules $made }}
  {{- end }}
{{- end }}
{{- toYaml $rules }}
{{- end }}

{{- /* crowsnest.rules.check fails on settings of alerts that are not there: (list $ settings). */ -}}
{{- define "crowsnest.rules.check" -}}
{{- $root := index . 0 }}
{{- $known := list }}
{{- range $path, $_ := $root.Files.Glob "files/rules/*.yaml" }}
  {{- range (fromYaml ($root.Files.Get $path)).groups }}
    {{- range .rules }}{{ $known = concat $known (compact (list .alert .id)) }}{{ end }}
  {{- end }}
{{- end }}
{{- range $name := keys (index . 1).alerts | sortAlpha }}
  {{- if not (has $name $known) }}
    {{- fail (printf "prometheusRule.alerts: there is no alert %s" $name) }}
  {{- end }}
{{- end }}
{{- end }}
