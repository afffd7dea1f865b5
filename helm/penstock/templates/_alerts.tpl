{{/* rules/alerts.yaml with the selector of this release and the thresholds of its values put in. */}}
{{- define "penstock.alerts" -}}
{{- $thresholds := .Values.prometheusRule.thresholds -}}
{{- $least := ternary .Values.workload.replicas .Values.autoscaling.minReplicas (eq .Values.autoscaling.kind "none") -}}
{{- .Files.Get "rules/alerts.yaml"
    | replace "$SELECTOR" (include "penstock.promSelector" .)
    | replace "$LAG_RECORDS" ($thresholds.lagRecords | int64 | toString)
    | replace "$LATENCY_SECONDS" ($thresholds.latencySeconds | toString)
    | replace "$DEAD_LETTER_RATIO" ($thresholds.deadLetterRatio | toString)
    | replace "$REBALANCES" ($thresholds.rebalances | int | toString)
    | replace "$REPLICAS" ($least | int | toString)
    | replace "$MEMORY_LIMIT_BYTES" (include "penstock.bytes" .Values.resources.limits.memory) -}}
{{- end -}}

{{- define "penstock.alertNames" -}}
{{- $names := list -}}
{{- range include "penstock.alerts" . | fromYamlArray }}{{ $names = append $names .alert }}{{ end -}}
{{ toJson $names }}
{{- end -}}
