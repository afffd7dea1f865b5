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

{{/* Environment variables: (list . SECRET KEY) with the Secret of the connection string. */}}
{{- define "penstock.env" -}}
{{- $root := index . 0 -}}
{{- $v := $root.Values -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- with index . 1 }}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ index $ 2 }}}}
{{- end }}
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
{{- if hasPrefix "sasl_" .securityProtocol }}
- name: KAFKA_USER
{{- if .sasl.usernameKey }}
  valueFrom: {secretKeyRef: {name: {{ .sasl.existingSecret }}, key: {{ .sasl.usernameKey }}}}
{{- else }}
  value: {{ .sasl.username | quote }}
{{- end }}
- name: KAFKA_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .sasl.existingSecret }}, key: {{ .sasl.passwordKey }}}}
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

{{/* The configuration and the certificates: (list . CONFIGMAP). Private keys are 0440: libpq takes
     no more for one that belongs to root, and the pod's group can read it. */}}
{{- define "penstock.volumes" -}}
{{- $v := (index . 0).Values -}}
- name: config
  configMap:
    name: {{ index . 1 }}
    items: [{key: {{ include "penstock.configKey" (index . 0) }}, path: penstock.yaml}]
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

{{- define "penstock.volumeMounts" -}}
- {name: config, mountPath: /etc/penstock/penstock.yaml, subPath: penstock.yaml, readOnly: true}
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
{{- end -}}

{{/* One container that runs a command of the program: (dict root name args env). */}}
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
  {{- include "penstock.volumeMounts" $root | nindent 2 }}
{{- end -}}

{{/* The spec of every pod, up to its containers: (list . SERVICEACCOUNT CONFIGMAP). */}}
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
  {{- include "penstock.volumes" (list $root (index . 2)) | nindent 2 }}
{{- end -}}
