{{/* What a JSON schema cannot say, because it compares two values. Said in words, before anything is made. */}}
{{- define "penstock.validate" -}}
{{- $v := .Values -}}
{{- $groups := list -}}
{{- $names := list -}}
{{- range $pipeline := $v.pipelines -}}
{{- if has .name $names -}}
{{- fail (printf "pipelines: '%s' is the name of two pipelines; stored positions belong to a name" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- if and $v.staticMembership.enabled (has .source.group $groups) -}}
{{- fail (printf "pipelines: two pipelines are in the group '%s'; with staticMembership each pod would be in it twice under one name. Give each pipeline its own group, or set staticMembership.enabled=false" .source.group) -}}
{{- end -}}
{{- $groups = append $groups .source.group -}}
{{- range $property, $value := .source.kafka -}}
{{- if and (regexMatch "(password|secret|ssl\\.key\\.pem|sasl\\.oauthbearer\\.config)" $property) (not (regexMatch "^\\$\\{([A-Za-z_][A-Za-z0-9_]*|file:/[^}]*)\\}$" (toString $value))) -}}
{{- fail (printf "pipelines: '%s' has %s in the open; put it in a Secret, and ${file:/PATH} here with extraVolumes" $pipeline.name $property) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "(password *= *[^$ ]|://[^/@:]*:[^$@][^@]*@)" (.sink.postgres | default "") -}}
{{- fail (printf "pipelines: '%s' has a password in sink.postgres; put the connection string in a Secret: database.existingSecret, or ${file:/PATH} here with extraVolumes" .name) -}}
{{- end -}}
{{- if not (or .sink.postgres $v.database.existingSecret) -}}
{{- fail (printf "pipelines: '%s' has no sink.postgres, and database.existingSecret names no Secret with a connection string" .name) -}}
{{- end -}}
{{- if not (or (hasKey (.source.kafka | default dict) "bootstrap.servers") $v.kafka.bootstrapServers) -}}
{{- fail (printf "pipelines: '%s' has no bootstrap.servers under source.kafka, and kafka.bootstrapServers is empty" .name) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (int $v.workers.max) 0) (gt (int $v.workers.min) (int $v.workers.max)) -}}
{{- fail (printf "workers.min is %d, but workers.max is %d" (int $v.workers.min) (int $v.workers.max)) -}}
{{- end -}}
{{- if ne $v.autoscaling.kind "none" -}}
{{- if gt (int $v.autoscaling.minReplicas) (include "penstock.maxReplicas" . | int) -}}
{{- fail (printf "autoscaling.minReplicas is %d, but maxReplicas and partitions allow %s" (int $v.autoscaling.minReplicas) (include "penstock.maxReplicas" .)) -}}
{{- end -}}
{{- else if and (gt (int $v.partitions) 0) (gt (int $v.workload.replicas) (int $v.partitions)) -}}
{{- fail (printf "workload.replicas is %d, but there are %d partitions: the other pods would idle" (int $v.workload.replicas) (int $v.partitions)) -}}
{{- end -}}
{{- if eq $v.autoscaling.kind "hpa" -}}
{{- if not (or $v.autoscaling.cpuUtilization $v.autoscaling.hpa.lagMetric.name) -}}
{{- fail "autoscaling: neither cpuUtilization nor hpa.lagMetric.name is set, so there is nothing to scale on" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.autoscaling.kind "keda") (eq $v.autoscaling.keda.trigger "kafka") -}}
{{- if not $v.kafka.bootstrapServers -}}
{{- fail "autoscaling.keda.trigger kafka needs kafka.bootstrapServers: KEDA asks the brokers for the lag" -}}
{{- end -}}
{{- if not (or $v.pipelines $v.autoscaling.keda.consumerGroups) -}}
{{- fail "autoscaling.keda.trigger kafka needs autoscaling.keda.consumerGroups: with existingConfigMap the chart does not know the groups" -}}
{{- end -}}
{{- end -}}
{{- range $v.prometheusRule.disabled -}}
{{- if not (has . (include "penstock.alertNames" $ | fromYamlArray)) -}}
{{- fail (printf "prometheusRule.disabled: there is no alert '%s'" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
