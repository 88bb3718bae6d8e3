import type { ReceiverPreset } from "../preset.ts";

/** Sentry's integration platform, and the older plugin WebHooks. */
export const sentry = {
  name: "sentry",
  title: "Sentry",
  group: "platforms",
  docs: "sentry",
  secret: "optional",
  secretTitle: "Client secret of the integration",
  setup: [
    "Settings, Custom Integrations, Create New Integration, Internal: Webhook URL {url}.",
    "Switch on Alert Rule Action, permission Issue & Event: Read, and the webhook issue.",
    "Copy the client secret into the receiver's secret, and add the integration to an alert rule.",
  ],
  methods: ["POST"],
  verify: [
    {
      scheme: "hmac",
      header: "sentry-hook-signature",
      algorithm: "sha256",
      encoding: "hex",
      signed: ["{body}"],
      keyForm: "text",
    },
  ],
  replayId: "= headers['request-id']",
  shape: [["headers.sentry-hook-resource"]],
  mapping: {
    let: {
      resource: "= first(headers['sentry-hook-resource'], 'alert')",
      error: "= first(body.data.event, body.event)",
      issue: "= body.data.issue",
      metric: "= body.data.metric_alert",
    },
    output: "alerts",
    type: "= concat('sentry.', resource)",
    // The plugin WebHooks.
    level: "= first(body.level, error.level)",
    title: "= firstText(error.title, body.message, error.metadata.title, body.culprit, concat('Sentry: ', resource))",
    message: "= firstText(error.message, body.culprit, error.culprit)",
    key: "= exists(body.id) ? concat('issue/', string(body.id)) : null",
    status: "= exists(body.id) and exists(body.culprit) ? 'firing' : 'event'",
    link: "= first(error.web_url, body.url)",
    labels: { project: "= first(body.project_slug, body.project)" },
    cases: [
      {
        when: "resource == 'event_alert'",
        level: "= error.level",
        key: "= concat('issue/', string(error.issue_id))",
        status: "firing",
        time: "= error.datetime",
        labels: {
          "*": "= pairs(error.tags)",
          project: "= string(error.project)",
          rule: "= body.data.triggered_rule",
          culprit: "= error.culprit",
        },
      },
      {
        when: "resource == 'metric_alert'",
        level: "= lookup(body.action, 'critical', 'critical', 'warning', 'warning')",
        title: "= firstText(body.data.description_title, metric.title, metric.alert_rule.name)",
        message: "= body.data.description_text",
        key: "= concat('metric/', string(first(metric.alert_rule.id, metric.identifier, metric.id)))",
        status: "= lookup(body.action, 'critical', 'firing', 'warning', 'firing', 'resolved', 'resolved', 'event')",
        startsAt: "= metric.date_started",
        link: "= body.data.web_url",
        labels: { rule: "= metric.alert_rule.name", project: "= metric.projects[0]" },
      },
      {
        when: "resource == 'issue'",
        level: "= issue.level",
        title: "= issue.title",
        message: "= firstText(issue.metadata.value, issue.culprit)",
        key: "= concat('issue/', string(issue.id))",
        status:
          "= lookup(body.action, 'created', 'firing', 'unresolved', 'firing', 'resolved', 'resolved', " +
          "'archived', 'resolved', 'ignored', 'resolved', 'event')",
        link: "= first(issue.web_url, issue.permalink)",
        labels: { project: "= issue.project.slug", issue: "= issue.shortId", action: "= body.action" },
      },
      {
        when: "resource in ['installation', 'error', 'comment', 'seer', 'preprod_artifact']",
        skip: true,
      },
    ],
  },
  sample: {
    headers: {
      "sentry-hook-resource": "event_alert",
      "sentry-hook-timestamp": "1769846405",
      "request-id": "2a8f2e1c-4d5b-4c58-9d0a-7a1f0c7d2e11",
    },
    body: {
      action: "triggered",
      installation: { uuid: "a8e5d37a-696c-4c54-adb5-b3f28d64c7de" },
      actor: { type: "application", id: "sentry", name: "Sentry" },
      data: {
        event: {
          event_id: "e4874d664c3540c1a32eab185f12c5ab",
          issue_id: "1117540176",
          title: "ReferenceError: cart is not defined",
          culprit: "checkout(cart.js)",
          level: "error",
          platform: "javascript",
          project: 1,
          datetime: "2026-01-31T08:00:05.123000Z",
          tags: [
            ["environment", "production"],
            ["release", "1.4.2"],
          ],
          url: "https://sentry.io/api/0/projects/example/shop/events/e4874d664c3540c1a32eab185f12c5ab/",
          web_url: "https://sentry.io/organizations/example/issues/1117540176/",
          issue_url: "https://sentry.io/api/0/issues/1117540176/",
        },
        triggered_rule: "Errors in production",
      },
    },
  },
} as const satisfies ReceiverPreset;
