import type { ChannelPreset } from "../preset.ts";

const url = "https://{{ field.region }}/v2/enqueue";

/** https://developer.pagerduty.com/docs/events-api-v2-overview */
export const pagerduty = {
  name: "pagerduty",
  title: "PagerDuty",
  group: "paging",
  docs: "pagerduty",
  setup: [
    "In PagerDuty open the service, Integrations, and add Events API V2.",
    "Copy the integration key.",
    "Create the channel with the key; accounts in the EU also set the region.",
  ],
  fields: [
    {
      key: "key",
      title: "Integration key",
      secret: true,
      pattern: "[A-Za-z0-9]{32}",
      example: "0123456789abcdef0123456789abcdef",
    },
    {
      key: "region",
      title: "Region",
      type: "choice",
      choices: ["events.pagerduty.com", "events.eu.pagerduty.com"],
      default: "events.pagerduty.com",
      required: false,
      example: "events.pagerduty.com",
    },
    {
      key: "severity",
      title: "Severity of all events, in place of the alert's",
      type: "choice",
      choices: ["critical", "error", "warning", "info"],
      required: false,
      example: "error",
    },
    { key: "component", title: "Component", pattern: ".{1,255}", required: false, example: "database" },
    { key: "group", title: "Group", pattern: ".{1,255}", required: false, example: "shop" },
    { key: "class", title: "Class", pattern: ".{1,255}", required: false, example: "disk" },
  ],
  hosts: ["events.pagerduty.com", "events.eu.pagerduty.com"],
  key: "{{ n.key | first:255 }}",
  send: {
    url,
    body: {
      routing_key: "{{ field.key }}",
      event_action: "trigger",
      dedup_key: "{{ key }}",
      payload: {
        summary: "{{ n.title | line }}",
        source: "{{ n.project | default:'prism' }}",
        severity: { $if: "field.severity", $then: "{{ field.severity }}", $else: "{{ n.severity }}" },
        "component?": "{{ field.component }}",
        "group?": "{{ field.group }}",
        "class?": "{{ field.class }}",
        timestamp: "{{ n.at }}",
        custom_details: {
          message: "{{ n.message }}",
          facts: [{ $each: "n.facts", $do: "{{ item.title }}: {{ item.value }}" }],
        },
      },
      links: [{ $if: "n.url", href: "{{ n.url }}", text: "Prism" }],
      client: "Prism",
      "client_url?": "{{ n.url }}",
    },
  },
  acknowledge: { url, body: { routing_key: "{{ field.key }}", event_action: "acknowledge", dedup_key: "{{ key }}" } },
  resolve: { url, body: { routing_key: "{{ field.key }}", event_action: "resolve", dedup_key: "{{ key }}" } },
  ok: [{ status: 202, path: "$.status", equals: "success" }],
  ref: { key: "$.dedup_key" },
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "30s"] },
    { status: 400, text: "routing[ _]key", class: "refused", hint: "the integration key is not valid" },
    { status: 400, class: "dead" },
    { status: 403, class: "wait", after: ["60s"] },
  ],
  cut: { "payload.summary": 1024, "payload.source": 255, "payload.custom_details.message": 20_000 },
  unit: "codepoints",
  maxBytes: 500_000,
  drop: ["payload.custom_details"],
  rate: { perSecond: 2, burst: 20 },
} satisfies ChannelPreset;
