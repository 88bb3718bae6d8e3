import type { ReceiverPreset } from "../preset.ts";

/** PagerDuty's v3 webhooks: incidents of PagerDuty as alerts. */
export const pagerduty = {
  name: "pagerduty",
  title: "PagerDuty",
  group: "platforms",
  docs: "pagerduty-webhooks",
  secret: "required",
  secretTitle: "Signing secret of the subscription",
  setup: [
    "Integrations, Generic Webhooks (v3), New Webhook: URL {url}, scope and event types of your choice.",
    "Copy the signing secret, which is shown once, into the receiver's secret.",
    "Press Send Test Event.",
  ],
  methods: ["POST"],
  verify: [
    {
      scheme: "hmac",
      header: "x-pagerduty-signature",
      algorithm: "sha256",
      prefix: "v1=",
      separator: ",",
      encoding: "hex",
      signed: ["{body}"],
      keyForm: "text",
    },
  ],
  replayId: "= body.event.id",
  shape: [["body.event.event_type", "body.event.data.id|body.event.data.type", "body.event.occurred_at"]],
  mapping: {
    let: { kind: "= body.event.event_type", data: "= body.event.data" },
    output: "alerts",
    type: "= concat('pagerduty.', kind)",
    level:
      "= lookup(data.priority.summary, 'P1', 'critical', 'P2', 'error', 'P3', 'warning', 'P4', 'info', 'P5', 'info', " +
      "lookup(data.urgency, 'high', 'error', 'low', 'warning'))",
    title: "= firstText(data.title, data.incident.summary, data.summary, data.message, kind)",
    message: "= firstText(data.content, data.message, data.description)",
    key: "= first(data.incident.id, data.id)",
    status:
      "= lookup(kind, 'incident.triggered', 'firing', 'incident.reopened', 'firing', 'incident.unacknowledged', " +
      "'firing', " +
      "'incident.acknowledged', 'acknowledged', 'incident.resolved', 'resolved', 'event')",
    time: "= body.event.occurred_at",
    startsAt: "= data.created_at",
    link: "= first(data.html_url, data.incident.html_url)",
    labels: {
      service: "= data.service.summary",
      urgency: "= data.urgency",
      priority: "= data.priority.summary",
      assignees: "= join(pluck(data.assignees, 'summary'), ', ')",
      number: "= string(data.number)",
      agent: "= body.event.agent.summary",
    },
    cases: [{ when: "kind == 'pagey.ping'", title: "Test of PagerDuty's webhook", status: "event" }],
  },
  sample: {
    headers: { "user-agent": "PagerDuty-Webhook/V3.0" },
    body: {
      event: {
        id: "01CEEF2UJQP3ZOJ4ZBP0H8UO9H",
        event_type: "incident.triggered",
        resource_type: "incident",
        occurred_at: "2026-01-31T08:00:05.123Z",
        agent: null,
        client: null,
        data: {
          id: "PGR0VU2",
          type: "incident",
          self: "https://api.pagerduty.com/incidents/PGR0VU2",
          html_url: "https://example.pagerduty.com/incidents/PGR0VU2",
          number: 2417,
          status: "triggered",
          incident_key: "d3640fbd41094207a1c11e58e46b1662",
          created_at: "2026-01-31T08:00:04Z",
          title: "Checkout answers slowly",
          service: { id: "PF9KMXH", type: "service_reference", summary: "Shop" },
          assignees: [{ id: "PTUXL6G", type: "user_reference", summary: "Ada Lovelace" }],
          escalation_policy: { id: "PUS0KTE", type: "escalation_policy_reference", summary: "Default" },
          teams: [],
          priority: { id: "PSO75BM", type: "priority_reference", summary: "P1" },
          urgency: "high",
          conference_bridge: null,
          resolve_reason: null,
        },
      },
    },
  },
} as const satisfies ReceiverPreset;
