/** Templates that a request names (`?template=grafana`), as those of ntfy (docs/ntfy.md). */
export interface NamedTemplate {
  readonly title: string;
  readonly message: string;
  readonly priority?: string;
}

export const BUILT_IN_TEMPLATES: Readonly<Record<string, NamedTemplate>> = {
  grafana: {
    title:
      '{{- if eq .status "firing" }}🚨 {{ .title }}{{ else if eq .status "resolved" }}✅ {{ .title }}{{ else }}⚠️ {{ .title }}{{ end -}}',
    message: "{{ .message | trunc 2000 }}",
  },
  alertmanager: {
    title:
      '{{- if eq .status "firing" }}🚨 Alert: {{ (first .alerts).labels.alertname }}{{ else if eq .status "resolved" }}' +
      "✅ Resolved: {{ (first .alerts).labels.alertname }}{{ else }}Alert: {{ (first .alerts).labels.alertname }}{{ end -}}",
    message:
      "Status: {{ .status | title }}\nReceiver: {{ .receiver }}\n\n" +
      "{{- range .alerts }}\nAlert: {{ .labels.alertname }}\n" +
      '{{- range $key, $value := .labels }}{{ if ne $key "alertname" }}\n  {{ $key }} = {{ $value }}{{ end }}{{ end }}\n' +
      "{{- range $key, $value := .annotations }}\n  {{ $key }} = {{ $value }}{{ end }}\n" +
      "{{- if .generatorURL }}\nSource: {{ .generatorURL }}{{ end }}\n{{ end }}",
  },
  github: {
    title:
      '{{- if .comment }}💬 {{ if eq .action "created" }}New comment{{ else }}Comment {{ .action }}{{ end }} on ' +
      "{{ if .issue }}{{ if .issue.pull_request }}pull request{{ else }}issue{{ end }} #{{ .issue.number }} {{ .issue.title }}" +
      "{{ else if .pull_request }}pull request #{{ .pull_request.number }} {{ .pull_request.title }}" +
      "{{ else }}{{ .repository.full_name }}{{ end }}" +
      "{{ else if .pull_request }}🔀 Pull request {{ .action }}: #{{ .pull_request.number }} {{ .pull_request.title }}" +
      "{{ else if .issue }}🐛 Issue {{ .action }}: #{{ .issue.number }} {{ .issue.title }}" +
      "{{ else if .release }}🚀 Release {{ .action }}: {{ .release.name }}" +
      "{{ else if .workflow_run }}⚙️ {{ .workflow_run.name }}: {{ .workflow_run.conclusion | default .workflow_run.status }}" +
      "{{ else if .commits }}💻 {{ len .commits }} commit(s) to {{ .ref }}" +
      "{{ else if .starred_at }}⭐ {{ .sender.login }} starred {{ .repository.full_name }}" +
      "{{ else if .forkee }}🍴 {{ .sender.login }} forked {{ .repository.full_name }}" +
      '{{ else }}{{ .repository.full_name | default "GitHub" }}: {{ .action | default "event" }}{{ end -}}',
    message:
      "{{- if .comment }}{{ .comment.user.login }}: {{ .comment.body | trunc 2000 }}\n{{ .comment.html_url }}" +
      '{{ else if .pull_request }}{{ .pull_request.user.login }}: {{ .pull_request.body | default "" | trunc 2000 }}\n{{ .pull_request.html_url }}' +
      '{{ else if .issue }}{{ .issue.user.login }}: {{ .issue.body | default "" | trunc 2000 }}\n{{ .issue.html_url }}' +
      '{{ else if .release }}{{ .release.body | default "" | trunc 2000 }}\n{{ .release.html_url }}' +
      "{{ else if .workflow_run }}{{ .workflow_run.html_url }}" +
      "{{ else if .commits }}{{ range .commits }}{{ .author.name }}: {{ .message | trunc 200 }}\n{{ end }}{{ .compare }}" +
      "{{ else if .repository }}{{ .repository.html_url }}{{ else }}{{ .sender.login }}{{ end -}}",
  },
};
