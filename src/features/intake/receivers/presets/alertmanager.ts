import type { ReceiverPreset } from "../preset.ts";

/** Webhooks of Prometheus' Alertmanager, payload version 4: an alert for each of `alerts`. */
export const alertmanager = {
  name: "alertmanager",
  title: "Prometheus Alertmanager",
  group: "monitoring",
  docs: "alertmanager",
  secret: "optional",
  secretTitle: "Password or Bearer token of http_config",
  setup: [
    "Add to alertmanager.yml: receivers: [{ name: prism, webhook_configs: [{ url: '{url}' }] }]",
    "Name the receiver in route, and keep send_resolved: true, which is the default.",
    "Reload Alertmanager; an alert arrives with the next group of alerts.",
  ],
  methods: ["POST"],
  verify: [{ scheme: "credential" }],
  shape: [["body.0.labels.alertname"], ["body.alerts.0.labels.alertname", "!body.groupKey"]],
  mapping: {
    let: { isOwn: "= body.alerts == null and item.labels != null and item.status == null" },
    // Prometheus' own requests are a list of alerts without a state: they end at their time.
    split: "= first(body.alerts, body)",
    output: "alerts",
    level: "= lookup(lower(item.labels.severity), 'page', 'critical', item.labels.severity)",
    title: "= firstText(item.annotations.summary, item.annotations.title, item.labels.alertname)",
    message: "= firstText(item.annotations.description, item.annotations.message)",
    key: "= first(item.fingerprint, body.groupKey == null ? item.labels : null, concat(body.groupKey, '/', item.labels.alertname, '/', item.labels.instance))",
    status:
      "= isOwn ? (time(item.endsAt) > 0 and time(item.endsAt) <= now() ? 'resolved' : 'firing') : " +
      "lookup(item.status, 'firing', 'firing', 'resolved', 'resolved', 'event')",
    startsAt: "= item.startsAt",
    endsAt: "= isOwn or item.status == 'resolved' ? item.endsAt : null",
    link: "= item.generatorURL",
    labels: { "*": "= item.labels" },
    annotations: { "*": "= item.annotations" },
    cases: [
      // A custom payload has any form.
      {
        when: "item == null",
        title: "= firstText(body.title, body.summary, body.message, body.text, body.status)",
        message: "= firstText(body.message, body.text, body.description)",
        level: "= first(body.severity, body.level)",
        key: "= first(body.key, body.fingerprint, body.groupKey)",
        status: "= lookup(body.status, 'firing', 'firing', 'resolved', 'resolved', 'event')",
        labels: { "*": "= first(body.commonLabels, body.labels)" },
      },
    ],
  },
  sample: {
    headers: { "user-agent": "Alertmanager/0.25.0" },
    body: {
      receiver: "prism",
      status: "firing",
      alerts: [
        {
          status: "firing",
          labels: { alertname: "HighLoad", instance: "web-1:9100", job: "node", severity: "critical" },
          annotations: { summary: "Load of web-1 is high", description: "12.4 for 5 minutes" },
          startsAt: "2026-01-31T08:00:05.123Z",
          endsAt: "0001-01-01T00:00:00Z",
          generatorURL: "http://prometheus.example:9090/graph?g0.expr=node_load1+%3E+10&g0.tab=1",
          fingerprint: "8a5f2b1c9d3e4f60",
        },
      ],
      groupLabels: { alertname: "HighLoad" },
      commonLabels: { alertname: "HighLoad", instance: "web-1:9100", job: "node", severity: "critical" },
      commonAnnotations: { summary: "Load of web-1 is high", description: "12.4 for 5 minutes" },
      externalURL: "http://alertmanager.example:9093",
      version: "4",
      groupKey: '{}:{alertname="HighLoad"}',
      truncatedAlerts: 0,
    },
  },
} as const satisfies ReceiverPreset;
