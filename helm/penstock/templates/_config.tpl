{{/* The configuration file: the pipelines, with what the chart knows where they say nothing. */}}

{{/* librdkafka properties for every pipeline. */}}
{{- define "penstock.kafkaProperties" -}}
{{- with .Values.kafka -}}
{{- if .bootstrapServers }}
bootstrap.servers: ${KAFKA_BROKERS}
{{- end }}
{{- if ne .securityProtocol "plaintext" }}
security.protocol: {{ .securityProtocol }}
{{- end }}
{{- if hasPrefix "sasl_" .securityProtocol }}
sasl.mechanism: {{ .sasl.mechanism }}
sasl.username: {{ ne .sasl.usernameKey "" | ternary (printf "${file:%s/kafka/username}" (include "penstock.secretPath" $)) "${KAFKA_USER}" }}
sasl.password: ${file:{{ include "penstock.secretPath" $ }}/kafka/password}
{{- end }}
{{- if hasSuffix "ssl" .securityProtocol }}
{{- if .tls.caSecret }}
ssl.ca.location: /etc/penstock/kafka-ca/ca.crt
{{- end }}
{{- if .tls.clientSecret }}
ssl.certificate.location: /etc/penstock/kafka-client/tls.crt
ssl.key.location: /etc/penstock/kafka-client/tls.key
{{- end }}
{{- end }}
{{- end -}}
{{- if .Values.staticMembership.enabled }}
group.instance.id: ${POD_NAME}
session.timeout.ms: "{{ mul 1000 (int .Values.staticMembership.sessionTimeoutSeconds) }}"
{{- end }}
{{- end -}}

{{- define "penstock.config" -}}
{{- $known := include "penstock.kafkaProperties" . | fromYaml -}}
{{- $pipelines := list -}}
{{- range .Values.pipelines -}}
{{- $pipeline := deepCopy . -}}
{{- $own := $pipeline.source.kafka | default dict -}}
{{- /* With the consumer protocol the session is the broker's. */ -}}
{{- $more := eq (get $own "group.protocol" | toString) "consumer" | ternary (omit $known "session.timeout.ms") $known -}}
{{- $_ := set $pipeline.source "kafka" (merge $own $more) -}}
{{- if and $.Values.database.existingSecret (not $pipeline.sink.postgres) -}}
{{- $_ := set $pipeline.sink "postgres" (printf "${file:%s/database/uri}" (include "penstock.secretPath" $)) -}}
{{- end -}}
{{- if not $pipeline.drain_timeout -}}
{{- $_ := set $pipeline "drain_timeout" (printf "%ds" (int $.Values.drainTimeoutSeconds)) -}}
{{- end -}}
{{- $pipelines = append $pipelines $pipeline -}}
{{- end -}}
pipelines:
  {{- toYaml $pipelines | nindent 2 }}
server:
  grpc: {{ printf "%s:7070" (.Values.control.enabled | ternary .Values.listenHost "127.0.0.1") | quote }}
  http: {{ printf "%s:8080" .Values.listenHost | quote }}
  probes: {{ printf "%s:8081" .Values.listenHost | quote }}
  min_workers: {{ .Values.workers.min }}
  {{- with .Values.workers.max }}
  max_workers: {{ . }}
  {{- end }}
  lanes: {{ .Values.lanes }}
  {{- with .Values.control.tls }}
  {{- if .existingSecret }}
  grpc_tls:
    certificate_file: /etc/penstock/control-tls/tls.crt
    key_file: /etc/penstock/control-tls/tls.key
    client_ca_file: /etc/penstock/control-tls/{{ .clientCaKey }}
  {{- end }}
  {{- end }}
log:
  {{- toYaml .Values.log | nindent 2 }}
{{- end -}}
