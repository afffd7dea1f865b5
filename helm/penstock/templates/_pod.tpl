{{/* What the pods have in common: those that run pipelines, the migrations' and the test's. */}}

{{- define "penstock.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.securityContext }}
{{- if .runAsUser }}
runAsUser: {{ int64 .runAsUser }}
{{- end }}
{{- if .runAsGroup }}
runAsGroup: {{ int64 .runAsGroup }}
{{- end }}
{{- if .fsGroup }}
fsGroup: {{ int64 .fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "penstock.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Environment variables. What is secret is in files, which neither a crash dump nor a child process
     has: only the headers for a collector come as a variable, by the standard. */}}
{{- define "penstock.env" -}}
{{- $v := .Values -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- with $v.database.tls }}
{{- if .caSecret }}
- name: PGSSLMODE
  value: verify-full
- name: PGSSLROOTCERT
  value: /etc/penstock/database-ca/ca.crt
{{- end }}
{{- if .clientSecret }}
- name: PGSSLCERT
  value: /etc/penstock/database-client/tls.crt
- name: PGSSLKEY
  value: /etc/penstock/database-client/tls.key
{{- end }}
{{- end }}
{{- with $v.kafka }}
{{- if .bootstrapServers }}
- name: KAFKA_BROKERS
  value: {{ .bootstrapServers | quote }}
{{- end }}
{{- if and (hasPrefix "sasl_" .securityProtocol) (not .sasl.usernameKey) }}
- name: KAFKA_USER
  value: {{ .sasl.username | quote }}
{{- end }}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where traces go; only the pods that run pipelines have any. */}}
{{- define "penstock.otlpEnv" -}}
{{- with .Values.otlp }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol }}
- name: OTEL_TRACES_SAMPLER
  value: traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .samplingRatio | quote }}
- name: OTEL_SERVICE_NAME
  value: {{ include "penstock.fullname" $ }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME)
{{- if .headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .headersSecret }}, key: {{ .headersKey }}}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where Secrets are mounted that are no certificates. */}}
{{- define "penstock.secretPath" -}}/etc/penstock/secrets{{- end -}}

{{/* The configuration, Secrets and certificates: (list . CONFIGMAP DATABASE), DATABASE being the Secret of the
     connection string and its key. They are 0440: libpq takes no more for a private key that belongs to
     root, and the pod's group can read it. */}}
{{- define "penstock.volumes" -}}
{{- $v := (index . 0).Values -}}
{{- $database := index . 2 -}}
- name: config
  configMap:
    name: {{ index . 1 }}
    items: [{key: {{ include "penstock.configKey" (index . 0) }}, path: penstock.yaml}]
{{- if index $database 0 }}
- name: database
  secret: {secretName: {{ index $database 0 }}, items: [{key: {{ index $database 1 }}, path: uri}], defaultMode: 0440}
{{- end }}
{{- if hasPrefix "sasl_" $v.kafka.securityProtocol }}
{{- with $v.kafka.sasl }}
- name: kafka-sasl
  secret:
    secretName: {{ .existingSecret }}
    items:
      {{- if .usernameKey }}
      - {key: {{ .usernameKey }}, path: username}
      {{- end }}
      - {key: {{ .passwordKey }}, path: password}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- with $v.database.tls }}
{{- if .caSecret }}
- name: database-ca
  secret: {secretName: {{ .caSecret }}, items: [{key: {{ .caKey }}, path: ca.crt}], defaultMode: 0440}
{{- end }}
{{- if .clientSecret }}
- name: database-client
  secret: {secretName: {{ .clientSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- with $v.control.tls.existingSecret }}
- name: control-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if hasSuffix "ssl" $v.kafka.securityProtocol }}
{{- with $v.kafka.tls }}
{{- if .caSecret }}
- name: kafka-ca
  secret: {secretName: {{ .caSecret }}, items: [{key: {{ .caKey }}, path: ca.crt}], defaultMode: 0440}
{{- end }}
{{- if .clientSecret }}
- name: kafka-client
  secret:
    secretName: {{ .clientSecret }}
    items: [{key: {{ .certKey }}, path: tls.crt}, {key: {{ .privateKeyKey }}, path: tls.key}]
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (list . DATABASE) */}}
{{- define "penstock.volumeMounts" -}}
{{- $database := index . 1 -}}
{{- with index . 0 -}}
- {name: config, mountPath: /etc/penstock/penstock.yaml, subPath: penstock.yaml, readOnly: true}
{{- if index $database 0 }}
- {name: database, mountPath: {{ include "penstock.secretPath" . }}/database, readOnly: true}
{{- end }}
{{- if hasPrefix "sasl_" .Values.kafka.securityProtocol }}
- {name: kafka-sasl, mountPath: {{ include "penstock.secretPath" . }}/kafka, readOnly: true}
{{- end }}
{{- if .Values.database.tls.caSecret }}
- {name: database-ca, mountPath: /etc/penstock/database-ca, readOnly: true}
{{- end }}
{{- if .Values.database.tls.clientSecret }}
- {name: database-client, mountPath: /etc/penstock/database-client, readOnly: true}
{{- end }}
{{- if .Values.control.tls.existingSecret }}
- {name: control-tls, mountPath: /etc/penstock/control-tls, readOnly: true}
{{- end }}
{{- if hasSuffix "ssl" .Values.kafka.securityProtocol }}
{{- if .Values.kafka.tls.caSecret }}
- {name: kafka-ca, mountPath: /etc/penstock/kafka-ca, readOnly: true}
{{- end }}
{{- if .Values.kafka.tls.clientSecret }}
- {name: kafka-client, mountPath: /etc/penstock/kafka-client, readOnly: true}
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The Secret of the service's connection string and its key, and of the migrations'. */}}
{{- define "penstock.database" -}}
{{ toJson (list .Values.database.existingSecret .Values.database.uriKey) }}
{{- end -}}
{{- define "penstock.ownerDatabase" -}}
{{- with .Values.migrations -}}
{{ ne .existingSecret "" | ternary (toJson (list .existingSecret .uriKey)) (include "penstock.database" $) }}
{{- end -}}
{{- end -}}

{{/* One container that runs a command of the program: (dict root name args env database). */}}
{{- define "penstock.container" -}}
{{- $root := .root -}}
name: {{ .name }}
image: {{ include "penstock.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: {{ toJson .args }}
env:
  {{- .env | nindent 2 }}
securityContext:
  {{- include "penstock.containerSecurityContext" $root | nindent 2 }}
volumeMounts:
  {{- include "penstock.volumeMounts" (list $root .database) | nindent 2 }}
{{- end -}}

{{/* The spec of every pod, up to its containers: (list . SERVICEACCOUNT CONFIGMAP DATABASE). */}}
{{- define "penstock.podCommon" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ index . 1 }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "penstock.podSecurityContext" $root | nindent 2 }}
volumes:
  {{- include "penstock.volumes" (list $root (index . 2) (index . 3)) | nindent 2 }}
{{- end -}}
