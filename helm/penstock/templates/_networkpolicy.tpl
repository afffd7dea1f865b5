{{/* One rule of allowed traffic out: (list PORTS PEERS). Kubernetes takes a rule without peers for anywhere,
     so without peers there is none. */}}
{{- define "penstock.egressRule" -}}
{{- if index . 1 -}}
- ports:
    {{- range index . 0 }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  to:
    {{- toYaml (index . 1) | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "penstock.dnsRule" -}}
{{- with .Values.networkPolicy.egress.dns.to -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
  to:
    {{- toYaml . | nindent 4 }}
{{- end -}}
{{- end -}}
