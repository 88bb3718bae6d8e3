import type { ReceiverPreset } from "../preset.ts";

const SIGNATURE = {
  scheme: "hmac",
  algorithm: "sha256",
  encoding: "hex",
  keyForm: "text",
} as const;
const WITH_TIME = { timestampHeader: "x-grafana-alerting-timestamp" } as const;

/** Grafana's webhook contact point, and the webhook channel of Grafana 8 and older. */
export const grafana = {
  name: "grafana",
  title: "Grafana",
  group: "monitoring",
  docs: "grafana",
  secret: "optional",
  secretTitle: "HMAC signature secret, password or authorization credentials",
  setup: [
    "Alerting, Contact points, Add: integration Webhook, URL {url}, method POST.",
    "Optional: HMAC Signature with a secret, and Timestamp Header X-Grafana-Alerting-Timestamp.",
    "Press Test, and use the contact point in a notification policy.",
  ],
  methods: ["POST", "PUT"],
  verify: [
    { ...SIGNATURE, ...WITH_TIME, signed: ["{ts}", ":", "{body}"], header: "x-grafana-alerting-signature" },
    { ...SIGNATURE, signed: ["{body}"], header: "x-grafana-alerting-signature" },
    // The name when the setting is left empty by provisioning.
    { ...SIGNATURE, ...WITH_TIME, signed: ["{ts}", ":", "{body}"], header: "x-grafana-alert-signature" },
    { ...SIGNATURE, signed: ["{body}"], header: "x-grafana-alert-signature" },
    { scheme: "credential" },
  ],
  shape: [["body.ruleName", "body.ruleId", "body.state"]],
  mapping: {
    split: "body.alerts",
    output: "alerts",
    level: "= lookup(lower(item.labels.severity), 'page', 'critical', item.labels.severity)",
    // Grafana's own alerts of a source that fails or has no data: the rule is a label, the reason an annotation.
    title:
      "= firstText(item.annotations.summary, item.labels.rulename == null ? null : " +
      "concat(item.labels.rulename, ': ', item.labels.alertname), item.labels.alertname)",
    message:
      "= firstText(item.annotations.description, item.annotations.message, item.annotations.Error, item.valueString)",
    key: "= item.fingerprint",
    status: "= lookup(item.status, 'firing', 'firing', 'resolved', 'resolved', 'event')",
    startsAt: "= item.startsAt",
    endsAt: "= item.status == 'resolved' ? item.endsAt : null",
    link: "= first(item.panelURL, item.dashboardURL, item.generatorURL)",
    labels: { "*": "= item.labels" },
    annotations: { "*": "= item.annotations", silenceURL: "= item.silenceURL", imageURL: "= item.imageURL" },
    cases: [
      // The button Test: Grafana never resolves this alert.
      {
        when: "item.labels.alertname == 'TestAlert' and item.labels.instance == 'Grafana'",
        type: "grafana.test",
        level: "info",
        title: "Test: {{ item.labels.alertname }}",
        status: "event",
      },
      // Grafana 8 and older; the button Test sends the rule 0.
      {
        when: "item == null and exists(body.ruleName)",
        level: "= lookup(body.state, 'alerting', 'error', 'no_data', 'warning')",
        title: "= firstText(body.title, body.ruleName)",
        message: "= body.message",
        key: "= concat('grafana/', string(body.orgId), '/', string(body.ruleId))",
        status:
          "= body.ruleId == 0 ? 'event' : " +
          "lookup(body.state, 'alerting', 'firing', 'no_data', 'firing', 'ok', 'resolved', 'event')",
        link: "= body.ruleUrl",
        labels: { "*": "= body.tags", alertname: "= body.ruleName" },
        annotations: { imageURL: "= body.imageUrl" },
      },
      // A custom payload has any form.
      {
        when: "item == null",
        level: "= first(body.severity, body.level)",
        title: "= firstText(body.title, body.summary, body.message, body.text)",
        message: "= firstText(body.message, body.text, body.description)",
        key: "= first(body.key, body.fingerprint, body.groupKey)",
        status:
          "= lookup(first(body.status, body.state), 'firing', 'firing', 'alerting', 'firing', " +
          "'resolved', 'resolved', 'ok', 'resolved', 'event')",
        link: "= first(body.link, body.url)",
        labels: { "*": "= first(body.commonLabels, body.labels)" },
      },
    ],
  },
  sample: {
    headers: { "user-agent": "Grafana" },
    body: {
      receiver: "prism",
      status: "firing",
      orgId: 1,
      alerts: [
        {
          status: "firing",
          labels: { alertname: "High memory usage", grafana_folder: "Hosts", team: "blue", severity: "error" },
          annotations: { summary: "Memory of db-1 is high", description: "92 % for 10 minutes" },
          startsAt: "2026-01-31T08:00:00+01:00",
          endsAt: "0001-01-01T00:00:00Z",
          generatorURL: "https://grafana.example/alerting/grafana/ddx7/view?orgId=1",
          fingerprint: "c6eadffa33fcdf37",
          silenceURL: "https://grafana.example/alerting/silence/new?alertmanager=grafana&orgId=1",
          dashboardURL: "https://grafana.example/d/hosts?orgId=1",
          panelURL: "https://grafana.example/d/hosts?orgId=1&viewPanel=4",
          values: { B: 92.1, C: 1 },
          valueString: "[ var='B' labels={instance=db-1} value=92.1 ]",
          orgId: 1,
        },
      ],
      groupLabels: { alertname: "High memory usage" },
      commonLabels: { alertname: "High memory usage", team: "blue", severity: "error" },
      commonAnnotations: { summary: "Memory of db-1 is high" },
      externalURL: "https://grafana.example/",
      version: "1",
      groupKey: '{}:{alertname="High memory usage"}',
      truncatedAlerts: 0,
      title: "[FIRING:1] High memory usage (blue)",
      state: "alerting",
      message: "**Firing**\n\nValue: B=92.1, C=1",
    },
  },
} as const satisfies ReceiverPreset;
