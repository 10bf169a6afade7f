{{/*
The single pod of one store, its Service, its data. Takes a dict: root, store
(its name), user (uid of the official image), args, env, config (mount path),
data (mount path), tmp (true for a /tmp), ports (name → number), ready (path),
readyPort, checksum.
*/}}
{{- define "crowsnest.quickstart.store" -}}
{{- $root := .root }}
{{- $values := get $root.Values.quickstart .store }}
{{- $name := printf "%s-%s" (include "crowsnest.fullname" $root) .store }}
{{- $persistence := $root.Values.quickstart.persistence }}
{{- $kept := and $persistence.enabled .data }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "crowsnest.metadata" (list $root .store $name) | nindent 2 }}
spec:
  replicas: 1
  # Two pods cannot share one data folder.
  strategy: {type: Recreate}
  selector:
    matchLabels:
      {{- include "crowsnest.selectorLabels" (list $root .store) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "crowsnest.labels" (list $root .store) | nindent 8 }}
      annotations:
        {{- include "crowsnest.serviceName" (list $root .store) | nindent 8 }}
        {{- with .checksum }}
        checksum/config: {{ . }}
        {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: {{ .user }}
        runAsGroup: {{ .user }}
        fsGroup: {{ .user }}
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: {{ .store }}
          image: {{ include "crowsnest.image" (list $root $values.image) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- with .args }}
          args:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- $env := default dict .env }}
          {{- with include "crowsnest.gomemlimit" (list (printf "quickstart.%s" .store) $values.resources) }}
          {{- $_ := set $env "GOMEMLIMIT" . }}
          {{- end }}
          {{- with $env }}
          env:
            {{- include "crowsnest.env" (list .) | trim | nindent 12 }}
          {{- end }}
          ports:
            {{- range $port, $number := .ports }}
            - {name: {{ $port }}, containerPort: {{ $number }}, protocol: TCP}
            {{- end }}
          startupProbe:
            httpGet: {path: {{ .ready }}, port: {{ .readyPort }}}
            periodSeconds: 1
            failureThreshold: 300
          readinessProbe:
            httpGet: {path: {{ .ready }}, port: {{ .readyPort }}}
            timeoutSeconds: 5
          livenessProbe:
            tcpSocket: {port: {{ .readyPort }}}
            periodSeconds: 20
            failureThreshold: 6
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "crowsnest.containerSecurityContext" (dict) | nindent 12 }}
          volumeMounts:
            {{- with .config }}
            - {name: config, mountPath: {{ . }}, readOnly: true}
            {{- end }}
            {{- with .data }}
            - {name: data, mountPath: {{ . }}}
            {{- end }}
            - {name: tmp, mountPath: /tmp}
            {{- with .mounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- with .config }}
        - name: config
          configMap: {name: {{ $name }}}
        {{- end }}
        {{- if .data }}
        - name: data
          {{- if $kept }}
          persistentVolumeClaim: {claimName: {{ $name }}}
          {{- else }}
          emptyDir: {}
          {{- end }}
        {{- end }}
        {{- with .volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "crowsnest.metadata" (list $root .store $name) | nindent 2 }}
spec:
  type: ClusterIP
  selector:
    {{- include "crowsnest.selectorLabels" (list $root .store) | nindent 4 }}
  ports:
    {{- range $port, $number := .ports }}
    - {name: {{ $port }}, port: {{ $number }}, targetPort: {{ $port }}, protocol: TCP}
    {{- end }}
{{- if $kept }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "crowsnest.metadata" (list $root .store $name) | nindent 2 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $persistence.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ $persistence.size }}}
{{- end }}
{{- end }}
