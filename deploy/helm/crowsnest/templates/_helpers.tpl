{{/* Names, labels and what agents and aggregators share. */}}

{{- define "crowsnest.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* 40 bytes leave room for the longest suffix within the 63 of a DNS label. */}}
{{- define "crowsnest.fullname" -}}
{{- $name := include "crowsnest.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "crowsnest.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* Name of what belongs to no namespace: two releases of one name may be in two. */}}
{{- define "crowsnest.clusterName" -}}
{{ include "crowsnest.namespace" . }}-{{ include "crowsnest.fullname" . }}
{{- end }}

{{/* Takes a list: root, component. */}}
{{- define "crowsnest.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "crowsnest.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Takes a list: root, component. */}}
{{- define "crowsnest.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "crowsnest.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: crowsnest
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Annotation of a pod: the service that its own logs and metrics are of. By its
labels all would be of one, the release. Takes a list: root, component.
*/}}
{{- define "crowsnest.serviceName" -}}
resource.opentelemetry.io/service.name: {{ include "crowsnest.fullname" (index . 0) }}-{{ index . 1 }}
{{- end }}

{{/* Metadata of a namespaced object. Takes a list: root, component, name. */}}
{{- define "crowsnest.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 2 }}
namespace: {{ include "crowsnest.namespace" $root }}
labels:
  {{- include "crowsnest.labels" (list $root (index . 1)) | nindent 2 }}
{{- end }}

{{/* Takes a list: root, image. */}}
{{- define "crowsnest.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- $registry := default $image.registry $root.Values.global.imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end }}
{{- end }}

{{/* Takes a list: root, "agent" or "aggregator". */}}
{{- define "crowsnest.serviceAccountName" -}}
{{- $root := index . 0 }}{{ $account := (index $root.Values (index . 1)).serviceAccount -}}
{{- if $account.create }}
{{- default (printf "%s-%s" (include "crowsnest.fullname" $root) (index . 1)) $account.name }}
{{- else }}
{{- default "default" $account.name }}
{{- end }}
{{- end }}

{{/*
80% of a memory limit, as the Go runtime's soft limit: the garbage collector
works harder before the kernel kills. Takes a list: value's path, resources.
*/}}
{{- define "crowsnest.gomemlimit" -}}
{{- $limit := dig "limits" "memory" "" (index . 1) | toString -}}
{{- if $limit }}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$" $limit) }}
{{- fail (printf "%s.resources.limits.memory is %q: write it as a number with k, M, G, T, Ki, Mi, Gi or Ti, such as 512Mi" (index . 0) $limit) }}
{{- end }}
{{- $number := regexFind "^[0-9.]+" $limit }}
{{- $unit := get $units (trimPrefix $number $limit) }}
{{- printf "%dKiB" (divf (mulf (float64 $number) (float64 $unit) 0.8) 1024 | floor | int64) }}
{{- end }}
{{- end }}

{{/*
Environment, the user's over the chart's. What is read from elsewhere comes
first, so that the texts can refer to it as $(NAME). Takes a list: the chart's,
the user's.
*/}}
{{- define "crowsnest.env" -}}
{{- $env := dict }}
{{- range . }}{{ range $name, $value := . }}{{ $_ := set $env $name $value }}{{ end }}{{ end }}
{{- range $name, $value := $env }}
{{- if kindIs "map" $value }}
- name: {{ $name }}
  {{- toYaml $value | nindent 2 }}
{{- end }}
{{- end }}
{{- range $name, $value := $env }}
{{- if not (kindIs "map" $value) }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where a pod may run. Takes a list: root, values of the component. */}}
{{- define "crowsnest.scheduling" -}}
{{- $root := index . 0 }}{{ $values := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $class := $values.priorityClassName }}
{{- if and (not $class) $root.Values.priorityClass.create }}
{{- $class = include "crowsnest.clusterName" $root }}
{{- end }}
{{- with $class }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What pod security's restricted profile asks of a container; the rest is the user's. */}}
{{- define "crowsnest.containerSecurityContext" -}}
{{- toYaml (merge (deepCopy .) (dict
  "allowPrivilegeEscalation" false
  "readOnlyRootFilesystem" true
  "capabilities" (dict "drop" (list "ALL")))) }}
{{- end }}

{{/* health_check answers only once all components have started. */}}
{{- define "crowsnest.probes" -}}
startupProbe:
  httpGet: {path: /, port: health}
  periodSeconds: 1
  failureThreshold: 120
readinessProbe:
  httpGet: {path: /, port: health}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /, port: health}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
{{- end }}

{{/* Takes a list: root, name of a store. "true" if the quickstart runs it. */}}
{{- define "crowsnest.quickstart" -}}
{{- $root := index . 0 }}{{ $store := index . 1 -}}
{{- $signal := get (dict "loki" "logs" "prometheus" "metrics" "jaeger" "traces") $store -}}
{{- if and $root.Values.quickstart.enabled (get $root.Values.signals $signal) (not (get $root.Values.stores $store).endpoint) -}}
true
{{- end }}
{{- end }}

{{/* Takes a list: root, name of a store. Empty if the user's collector YAML names it. */}}
{{- define "crowsnest.storeEndpoint" -}}
{{- $root := index . 0 }}{{ $store := index . 1 -}}
{{- if include "crowsnest.quickstart" . }}
{{- $host := printf "%s-%s.%s.svc" (include "crowsnest.fullname" $root) $store (include "crowsnest.namespace" $root) }}
{{- get (dict
  "loki" (printf "http://%s:3100" $host)
  "prometheus" (printf "http://%s:9090/api/v1/write" $host)
  "jaeger" (printf "%s:4317" $host)) $store }}
{{- else }}
{{- (get $root.Values.stores $store).endpoint }}
{{- end }}
{{- end }}

{{- define "crowsnest.aggregatorHost" -}}
{{ include "crowsnest.fullname" . }}-aggregator.{{ include "crowsnest.namespace" . }}.svc
{{- end }}

{{/* Takes a list: root, "agent" or "aggregator". */}}
{{- define "crowsnest.tlsSecretName" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- if eq $root.Values.tls.mode "existingSecret" }}
{{- get $root.Values.tls.existingSecret $component }}
{{- else }}
{{- printf "%s-%s-tls" (include "crowsnest.fullname" $root) $component }}
{{- end }}
{{- end }}

{{/*
Names of the chosen sources of metrics and events, as fragments have them. Takes
a list: root, "agent" or "aggregator".
*/}}
{{- define "crowsnest.sources" -}}
{{- $root := index . 0 }}{{ $sources := $root.Values.sources -}}
{{- $names := list }}
{{- if not $root.Values.signals.metrics }}
{{- else if eq (index . 1) "agent" }}
{{- if eq $sources.containers "cri" }}{{ $names = append $names "cri" }}{{ end }}
{{- if $sources.node }}{{ $names = append $names "node" }}{{ end }}
{{- if and $sources.kubeState (eq $root.Values.agent.podSource "apiserver") }}{{ $names = append $names "kubestate" }}{{ end }}
{{- if $sources.terminations }}{{ $names = append $names "terminations" }}{{ end }}
{{- if $sources.controlPlane }}{{ $names = append $names "control_plane" }}{{ end }}
{{- if $sources.applications }}{{ $names = append $names "applications" }}{{ end }}
{{- else }}
{{- if $sources.kubeState }}{{ $names = append $names "kubestate" }}{{ end }}
{{- if $sources.controlPlane }}{{ $names = append $names "control_plane" }}{{ end }}
{{- if and $sources.spanMetrics $root.Values.signals.traces }}{{ $names = append $names "spanmetrics" }}{{ end }}
{{- end }}
{{- if and (eq (index . 1) "aggregator") (include "crowsnest.events" $root) }}{{ $names = append $names "kubeevents" }}{{ end }}
{{- join " " $names }}
{{- end }}

{{/* "true" if an agent talks to the container runtime. */}}
{{- define "crowsnest.agent.cri" -}}
{{- if and .Values.signals.metrics (or .Values.sources.terminations (eq .Values.sources.containers "cri")) }}true{{ end }}
{{- end }}

{{/* "true" if an agent looks at the host's root. */}}
{{- define "crowsnest.agent.hostRoot" -}}
{{- if and .Values.signals.metrics (or .Values.sources.terminations .Values.sources.node) }}true{{ end }}
{{- end }}

{{/* "true" if an agent takes OTLP. */}}
{{- define "crowsnest.agent.otlp" -}}
{{- if or .Values.signals.traces (and .Values.signals.metrics .Values.sources.applications) }}true{{ end }}
{{- end }}

{{/* "true" if Kubernetes events are logs. */}}
{{- define "crowsnest.events" -}}
{{- if and .Values.signals.logs .Values.sources.events }}true{{ end }}
{{- end }}

{{/* "true" if the aggregators' leader asks the API server. */}}
{{- define "crowsnest.aggregator.leads" -}}
{{- if or (include "crowsnest.events" .) (and .Values.signals.metrics (or .Values.sources.kubeState .Values.sources.controlPlane)) }}true{{ end }}
{{- end }}

{{/* The fragments in use; the user's YAML comes last and wins. Takes a list: root, "agent" or "aggregator". */}}
{{- define "crowsnest.fragments" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- range $signal := list "logs" "metrics" "traces" }}
{{- if get $root.Values.signals $signal }}
- --config=embedded:{{ $component }}/{{ $signal }}
{{- end }}
{{- end }}
{{- range $source := include "crowsnest.sources" . | splitList " " }}
{{- with $source }}
- --config=embedded:{{ $component }}/{{ . }}
{{- end }}
{{- end }}
{{- if ne $root.Values.tls.mode "disabled" }}
- --config=embedded:{{ $component }}/mtls
{{- end }}
{{- end }}

{{- define "crowsnest.agent.args" -}}
{{- include "crowsnest.fragments" (list . "agent") | trim }}
- --config=/etc/crowsnest/config/overlay.yaml
{{- with .Values.agent.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "crowsnest.agent.env" -}}
{{- $env := dict
  "K8S_NODE_NAME" (dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "spec.nodeName")))
  "K8S_NODE_IP" (dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "status.hostIP")))
  "POD_NAME" (dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  "POD_NAMESPACE" (dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace")))
  "K8S_CLUSTER_NAME" .Values.clusterName
  "CROWSNEST_AGGREGATOR_ENDPOINT" (default (printf "%s-aggregator-headless.%s.svc:4317" (include "crowsnest.fullname" .) (include "crowsnest.namespace" .)) .Values.agent.aggregatorEndpoint)
  "CROWSNEST_POD_SOURCE" .Values.agent.podSource
  "CROWSNEST_KUBELET_ENDPOINT" .Values.agent.kubelet.endpoint
  "CROWSNEST_KUBELET_INSECURE_SKIP_VERIFY" .Values.agent.kubelet.insecureSkipVerify }}
{{- if not (or .Values.agent.aggregatorEndpoint (eq .Values.tls.mode "disabled")) }}
{{- /* Certificates have one name for all ways to the aggregators. */}}
{{- $_ := set $env "CROWSNEST_AGGREGATOR_SERVER_NAME" (include "crowsnest.aggregatorHost" .) }}
{{- end }}
{{- if dig "exporters" "prometheus" "scrape" "" (.Values.aggregator.config | default dict) }}
{{- /* There is a page to scrape: a node's series must not be on two. */}}
{{- $_ := set $env "CROWSNEST_AGGREGATOR_FILE" "/var/lib/crowsnest/aggregator" }}
{{- end }}
{{- if ne .Values.agent.podSource "apiserver" }}
{{- $_ := set $env "CROWSNEST_MONITORS" "false" }}
{{- end }}
{{- if include "crowsnest.agent.cri" . }}
{{- $_ := set $env "CROWSNEST_CRI_ENDPOINT" (printf "unix:///host/cri/%s" (base .Values.agent.hostPaths.criSocket)) }}
{{- end }}
{{- if include "crowsnest.agent.hostRoot" . }}
{{- $_ := set $env "CROWSNEST_HOST_ROOT" "/host/root" }}
{{- $_ := set $env "CROWSNEST_CGROUP_ROOT" "/host/root/sys/fs/cgroup" }}
{{- end }}
{{- with include "crowsnest.gomemlimit" (list "agent" .Values.agent.resources) }}
{{- $_ := set $env "GOMEMLIMIT" . }}
{{- end }}
{{- include "crowsnest.env" (list $env .Values.agent.extraEnv) }}
{{- end }}

{{/* Authorization is not in a fragment: a header without a value would be sent all the same. */}}
{{- define "crowsnest.aggregator.args" -}}
{{- include "crowsnest.fragments" (list . "aggregator") | trim }}
{{- $headers := dict "loki" "loki::headers" "prometheus" "prometheus::remote_write::headers" "jaeger" "jaeger::headers" }}
{{- $signals := dict "loki" "logs" "prometheus" "metrics" "jaeger" "traces" }}
{{- range $store, $values := .Values.stores }}
{{- if and $values.existingSecret (get $.Values.signals (get $signals $store)) }}
- '--config=yaml:exporters::{{ get $headers $store }}::authorization: "${env:CROWSNEST_{{ upper $store }}_AUTHORIZATION}"'
{{- end }}
{{- end }}
- --config=/etc/crowsnest/config/overlay.yaml
{{- with .Values.aggregator.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "crowsnest.aggregator.env" -}}
{{- $env := dict
  "POD_NAME" (dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  "POD_NAMESPACE" (dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace")))
  "K8S_CLUSTER_NAME" .Values.clusterName }}
{{- if include "crowsnest.aggregator.leads" . }}
{{- $_ := set $env "CROWSNEST_LEASE" (printf "%s-aggregator" (include "crowsnest.fullname" .)) }}
{{- end }}
{{- if include "crowsnest.events" . }}
{{- $_ := set $env "CROWSNEST_EVENTS_LEASE" (printf "%s-aggregator-events" (include "crowsnest.fullname" .)) }}
{{- end }}
{{- with include "crowsnest.quickstart" (list . "prometheus") }}
{{- $_ := set $env "CROWSNEST_STATUS_PROMETHEUS" (printf "http://%s-prometheus.%s.svc:9090" (include "crowsnest.fullname" $) (include "crowsnest.namespace" $)) }}
{{- end }}
{{- with .Values.aggregator.statusPage.prometheusUrl }}
{{- $_ := set $env "CROWSNEST_STATUS_PROMETHEUS" . }}
{{- end }}
{{- if .Values.aggregator.statusPage.allReplicas }}
{{- $_ := set $env "CROWSNEST_STATUS_ENDPOINT" "0.0.0.0:13080" }}
{{- $_ := set $env "CROWSNEST_STATUS_TOKEN_FILE" "/etc/crowsnest/status/token" }}
{{- $_ := set $env "CROWSNEST_STATUS_PEERS" (printf "http://%s-aggregator-status.%s.svc:13080" (include "crowsnest.fullname" .) (include "crowsnest.namespace" .)) }}
{{- end }}
{{- if eq .Values.agent.podSource "kubelet" }}
{{- /* Agents without access to the API server do not tell of their pods. */}}
{{- $_ := set $env "CROWSNEST_KUBESTATE_SCOPE" "all" }}
{{- end }}
{{- $names := dict "loki" "CROWSNEST_LOKI_ENDPOINT" "prometheus" "CROWSNEST_REMOTE_WRITE_ENDPOINT" "jaeger" "CROWSNEST_JAEGER_ENDPOINT" }}
{{- $signals := dict "loki" "logs" "prometheus" "metrics" "jaeger" "traces" }}
{{- range $store, $values := .Values.stores }}
{{- if get $.Values.signals (get $signals $store) }}
{{- with include "crowsnest.storeEndpoint" (list $ $store) }}
{{- $_ := set $env (get $names $store) . }}
{{- end }}
{{- with $values.existingSecret }}
{{- $_ := set $env (printf "CROWSNEST_%s_AUTHORIZATION" (upper $store)) (dict "valueFrom" (dict "secretKeyRef" (dict "name" . "key" $values.existingSecretKey))) }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.signals.traces }}
{{- $_ := set $env "CROWSNEST_JAEGER_INSECURE" .Values.stores.jaeger.insecure }}
{{- end }}
{{- with include "crowsnest.gomemlimit" (list "aggregator" .Values.aggregator.resources) }}
{{- $_ := set $env "GOMEMLIMIT" . }}
{{- end }}
{{- include "crowsnest.env" (list $env .Values.aggregator.extraEnv) }}
{{- end }}

{{/* The extra ports of a container. Takes agent.extraPorts or aggregator.extraPorts. */}}
{{- define "crowsnest.extraContainerPorts" -}}
{{- range $name, $port := . }}
- {name: {{ $name }}, containerPort: {{ $port.port }}, protocol: {{ default "TCP" $port.protocol }}}
{{- end }}
{{- end }}

{{- define "crowsnest.extraServicePorts" -}}
{{- range $name, $port := . }}
- {name: {{ $name }}, port: {{ $port.port }}, targetPort: {{ $name }}, protocol: {{ default "TCP" $port.protocol }}}
{{- end }}
{{- end }}
