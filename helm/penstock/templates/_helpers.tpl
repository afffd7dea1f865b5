{{/* Names, labels and what several templates need. */}}

{{- define "penstock.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 48 characters: a StatefulSet's pods and the objects of the chart append to it. */}}
{{- define "penstock.fullname" -}}
{{- $name := include "penstock.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of all pods of the release, whatever they do. */}}
{{- define "penstock.releaseLabels" -}}
app.kubernetes.io/name: {{ include "penstock.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of the pods that run pipelines; never changes, a selector cannot. */}}
{{- define "penstock.selectorLabels" -}}
{{ include "penstock.releaseLabels" . }}
app.kubernetes.io/component: pipelines
{{- end -}}

{{/* Labels of a pod: (list . COMPONENT). Neither version nor chart: a new chart alone restarts nothing. */}}
{{- define "penstock.podLabels" -}}
{{- with merge (dict) (index . 0).Values.podLabels (index . 0).Values.commonLabels }}{{ toYaml . }}
{{ end -}}
{{ include "penstock.releaseLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object: (list . COMPONENT). */}}
{{- define "penstock.labels" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.commonLabels }}{{ toYaml . }}
{{ end -}}
{{ include "penstock.releaseLabels" $root }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "penstock.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "penstock.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "penstock.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "penstock.configMapName" -}}
{{ .Values.existingConfigMap.name | default (include "penstock.fullname" .) }}
{{- end -}}

{{- define "penstock.configKey" -}}
{{ ne .Values.existingConfigMap.name "" | ternary .Values.existingConfigMap.key "penstock.yaml" }}
{{- end -}}

{{/* Most pods: the smaller of what is asked for and what there are partitions for. */}}
{{- define "penstock.maxReplicas" -}}
{{ min (int .Values.autoscaling.maxReplicas) (int .Values.partitions) }}
{{- end -}}

{{/* The slowest pipeline's drain_timeout in whole seconds, rounded up. */}}
{{- define "penstock.drainSeconds" -}}
{{- $longest := int .Values.drainTimeoutSeconds -}}
{{- range .Values.pipelines -}}
{{- with .drain_timeout -}}
{{- $milliseconds := 0 -}}
{{- range regexFindAll "[0-9]+(ms|h|m|s)" (toString .) -1 -}}
{{- $number := regexFind "[0-9]+" . | int -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $milliseconds = add $milliseconds (mul $number (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit)) -}}
{{- end -}}
{{- $longest = max $longest (div (add $milliseconds 999) 1000) -}}
{{- end -}}
{{- end -}}
{{ $longest }}
{{- end -}}

{{/*
The pod's grace period. After the drain come: leaving the group, the gRPC server's 2 s, the last
traces' 2 s. Fifteen seconds are ample for these; beyond it the kernel ends the process, which is
safe: what was not committed is read again.
*/}}
{{- define "penstock.graceSeconds" -}}
{{ add (int .Values.preStopSeconds) (include "penstock.drainSeconds" . | int) 15 }}
{{- end -}}

{{/* Labels that the ServiceMonitor's scrapes have, as a PromQL selector. */}}
{{- define "penstock.promSelector" -}}
namespace="{{ .Release.Namespace }}",service="{{ include "penstock.fullname" . }}"
{{- end -}}

{{/* A memory quantity such as 512Mi or 2Gi, in bytes. */}}
{{- define "penstock.bytes" -}}
{{- $number := regexFind "[0-9]+" . | int64 -}}
{{ mul $number (hasSuffix "Gi" . | ternary 1073741824 1048576) }}
{{- end -}}

{{/* Made before an install or an upgrade, and gone after it: the weight decides the order. */}}
{{- define "penstock.beforeRelease" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
