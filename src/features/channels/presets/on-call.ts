import type { ChannelPreset } from "../preset.ts";

const alerts = "https://{{ field.region }}/v2/alerts";
const genie = { Authorization: "GenieKey {{ field.key }}" };

/** https://docs.opsgenie.com/docs/alert-api */
export const opsgenie = {
  name: "opsgenie",
  title: "Opsgenie",
  group: "paging",
  docs: "opsgenie",
  setup: [
    "In Opsgenie or Jira Service Management open the team, Integrations, and add an API integration.",
    "Copy its API key.",
    "Create the channel with the key; accounts in the EU also set the region. Opsgenie ends in April 2027.",
  ],
  fields: [
    {
      key: "key",
      title: "API key",
      secret: true,
      pattern: "[\\w-]{20,100}",
      example: "eb243592-faa2-4ba2-a551-1afdf565c889",
    },
    {
      key: "region",
      title: "Region",
      type: "choice",
      choices: ["api.opsgenie.com", "api.eu.opsgenie.com"],
      default: "api.opsgenie.com",
      required: false,
      example: "api.opsgenie.com",
    },
    { key: "team", title: "Team to notify", pattern: ".{1,100}", required: false, example: "ops" },
    { key: "user", title: "User to notify", pattern: ".{1,100}", required: false, example: "ada@example.com" },
    { key: "escalation", title: "Escalation to start", pattern: ".{1,100}", required: false, example: "ops-night" },
    { key: "schedule", title: "Schedule to notify", pattern: ".{1,100}", required: false, example: "ops-on-call" },
    {
      key: "priority",
      title: "Priority of all alerts, in place of the severity's",
      type: "choice",
      choices: ["P1", "P2", "P3", "P4", "P5"],
      required: false,
      example: "P2",
    },
  ],
  hosts: ["api.opsgenie.com", "api.eu.opsgenie.com"],
  key: "{{ n.key | first:512 }}",
  send: {
    url: alerts,
    headers: genie,
    body: {
      message: "{{ n.title | line }}",
      alias: "{{ key }}",
      "description?": "{{ n.message | nolinks }}{{ n.details | nolinks | prefix:'\n\n' }}",
      "responders?": [
        { $if: "field.team", type: "team", name: "{{ field.team }}" },
        { $if: "field.user", type: "user", username: "{{ field.user }}" },
        { $if: "field.escalation", type: "escalation", name: "{{ field.escalation }}" },
        { $if: "field.schedule", type: "schedule", name: "{{ field.schedule }}" },
      ],
      tags: ["prism", "{{ n.severity }}"],
      "details?": { "project?": "{{ n.project }}", "url?": "{{ n.url }}", "acknowledge?": "{{ n.ackUrl }}" },
      source: "Prism",
      priority: {
        $if: "field.priority",
        $then: "{{ field.priority }}",
        $else: { $map: "n.severity", critical: "P1", error: "P2", warning: "P3", $else: "P5" },
      },
    },
  },
  acknowledge: {
    url: `${alerts}/{{ key }}/acknowledge`,
    query: { identifierType: "alias" },
    headers: genie,
    body: { source: "Prism", note: "{{ n.message | default:n.title | nolinks }}" },
  },
  resolve: {
    url: `${alerts}/{{ key }}/close`,
    query: { identifierType: "alias" },
    headers: genie,
    body: { source: "Prism", note: "{{ n.message | default:n.title | nolinks }}" },
  },
  // Requests are processed later; a wrong team is seen at /v2/alerts/requests/<requestId> only.
  ok: [{ status: 202, path: "$.requestId" }],
  ref: { request: "$.requestId" },
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "header:x-ratelimit-period-in-sec", "60s"] },
    { status: [401, 403], class: "refused", hint: "the API key is not valid in this region, or may not create alerts" },
    { status: [402, 404], class: "refused", hint: "the account's plan does not have this API, or it was closed" },
    { status: 422, class: "dead" },
  ],
  cut: { message: 130, description: 15_000, note: 5000, "details.project": 200 },
  unit: "codepoints",
  rate: { perSecond: 2, burst: 10 },
} satisfies ChannelPreset;

const signl4Url = "https://connect.signl4.com/webhook/{{ field.secret }}";

/** https://docs.signl4.com/integrations/webhook/webhook.html */
export const signl4 = {
  name: "signl4",
  title: "SIGNL4",
  group: "paging",
  docs: "more-services",
  setup: [
    "In SIGNL4 open Integrations, Webhook, or the team's settings.",
    "Copy the team or integration secret (the end of the webhook's URL).",
    "Create the channel with the secret.",
  ],
  fields: [
    {
      key: "secret",
      title: "Team or integration secret",
      secret: true,
      pattern: "[\\w-]{6,64}",
      example: "abcd1234efgh",
    },
    { key: "service", title: "Service or system category", pattern: ".{1,100}", required: false, example: "Servers" },
  ],
  hosts: ["connect.signl4.com"],
  key: "{{ n.key | first:200 }}",
  send: {
    url: signl4Url,
    body: {
      Title: "{{ n.title | line }}",
      Message: "{{ n.message | default:n.title }}{{ n.details | prefix:'\n' }}",
      Severity: "{{ n.severity }}",
      "Link?": "{{ n.url }}",
      "X-S4-Service?": "{{ field.service }}",
      "X-S4-SourceSystem": "Prism",
      "X-S4-ExternalID": "{{ key }}",
      "X-S4-Status": "new",
    },
  },
  acknowledge: { url: signl4Url, body: { "X-S4-ExternalID": "{{ key }}", "X-S4-Status": "acknowledged" } },
  resolve: { url: signl4Url, body: { "X-S4-ExternalID": "{{ key }}", "X-S4-Status": "resolved" } },
  ok: [{ status: "2xx", path: "$.eventId" }, { status: [201, 202] }],
  errors: [
    { status: [401, 403, 404], class: "refused", hint: "the secret is not one of a team or an integration" },
    { status: 400, text: "team.*not found|invalid (team )?secret", class: "refused" },
  ],
  cut: { Title: 250, Message: 5000 },
  unit: "codepoints",
  rate: { perSecond: 1, burst: 10 },
} satisfies ChannelPreset;

const victorOps = "https://alert.victorops.com/integrations/generic/20131114/alert/{{ field.key }}/{{ field.route }}";
const recovery = { entity_id: "{{ key }}", monitoring_tool: "Prism", state_message: "{{ n.title | line }}" } as const;

/** https://help.splunk.com/splunk-observability-cloud/splunk-on-call (REST endpoint) */
export const splunkOnCall = {
  name: "splunk-on-call",
  title: "Splunk On-Call (VictorOps)",
  group: "paging",
  docs: "more-services",
  setup: [
    "In Splunk On-Call open Integrations, 3rd Party Integrations, REST – Generic, and switch it on.",
    "Copy the key: the part of the URL before $routing_key.",
    "Create the channel with the key and a routing key.",
  ],
  fields: [
    {
      key: "key",
      title: "REST endpoint key",
      secret: true,
      pattern: "[\\w-]{20,64}",
      example: "558e7ebc-XXXX-XXXX-XXXX-XXXXXXXXXXXX",
    },
    { key: "route", title: "Routing key", pattern: "[\\w.-]{1,100}", example: "database" },
  ],
  hosts: ["alert.victorops.com"],
  key: "{{ n.key | first:512 }}",
  send: {
    url: victorOps,
    body: {
      message_type: { $map: "n.severity", critical: "CRITICAL", error: "CRITICAL", warning: "WARNING", $else: "INFO" },
      entity_id: "{{ key }}",
      entity_display_name: "{{ n.title | line }}",
      state_message: "{{ n.message | default:n.title }}{{ n.details | prefix:'\n' }}",
      monitoring_tool: "Prism",
      "alert_url?": "{{ n.url }}",
      "ack_url?": "{{ n.ackUrl }}",
    },
  },
  acknowledge: { url: victorOps, body: { message_type: "ACKNOWLEDGEMENT", ...recovery } },
  resolve: { url: victorOps, body: { message_type: "RECOVERY", ...recovery } },
  ok: [{ status: 200, path: "$.result", equals: "success" }],
  ref: { entity: "$.entity_id" },
  errors: [
    { path: "$.result", equals: "failure", class: "dead" },
    { status: [401, 403, 404], class: "refused", hint: "the key is not valid, or the REST integration is off" },
  ],
  cut: { entity_display_name: 500, state_message: 20_480 },
  unit: "codepoints",
  rate: { perSecond: 1, burst: 10 },
} satisfies ChannelPreset;

const incidentIoUrl = "https://api.incident.io/v2/alert_events/http/{{ field.source }}";

/** https://api-docs.incident.io/tag/Alert-Events-V2 */
export const incidentIo = {
  name: "incident-io",
  title: "incident.io",
  group: "paging",
  docs: "more-services",
  setup: [
    "In incident.io open Alerts, Configuration, Alert Sources, and add one of type HTTP.",
    "Copy the id at the end of its URL, and its token.",
    "Create the channel with both.",
  ],
  fields: [
    {
      key: "source",
      title: "Id of the alert source",
      pattern: "[A-Z0-9]{20,40}",
      example: "01GW2G3V0S59R238FAHPDS1R66",
    },
    {
      key: "token",
      title: "Token",
      secret: true,
      pattern: "[\\w-]{20,200}",
      example: "0123456789abcdef0123456789abcdef",
    },
  ],
  hosts: ["api.incident.io"],
  send: {
    url: incidentIoUrl,
    auth: { bearer: "{{ field.token }}" },
    body: {
      title: "{{ n.title | line }}",
      "description?": "{{ n.message | nolinks }}{{ n.details | nolinks | prefix:'\n\n' }}",
      status: "firing",
      deduplication_key: "{{ key }}",
      "source_url?": "{{ n.url }}",
      metadata: { severity: "{{ n.severity }}", "project?": "{{ n.project }}" },
    },
  },
  resolve: {
    url: incidentIoUrl,
    auth: { bearer: "{{ field.token }}" },
    body: { title: "{{ n.title | line }}", status: "resolved", deduplication_key: "{{ key }}" },
  },
  ok: [{ status: [200, 201, 202], path: "$.deduplication_key" }],
  ref: { key: "$.deduplication_key" },
  errors: [
    { status: [401, 403], class: "refused", hint: "the token is not the alert source's" },
    { status: 404, class: "refused", hint: "there is no such alert source" },
  ],
  cut: { title: 250, description: 20_000, "metadata.project": 200 },
  unit: "codepoints",
  maxBytes: 500_000,
  rate: { perSecond: 2, burst: 20 },
} satisfies ChannelPreset;

const jiraAuth: ChannelPreset["send"]["auth"] = { basic: ["{{ field.email }}", "{{ field.token }}"] };
const JIRA_TEXT =
  "{{ n.message | default:n.title | wiki }}{{ n.details | wiki | prefix:'\n\n' }}" +
  "{{ n.url | prefix:'\n\n' }}{{ n.ackUrl | prefix:'\nAcknowledge: ' }}";

/** https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issues/ */
export const jira = {
  name: "jira",
  title: "Jira issues",
  group: "paging",
  docs: "more-services",
  setup: [
    "At id.atlassian.com create an API token for an account that may create issues.",
    "Note the project's key and the name of an issue type.",
    "Create the channel with the site's URL and these. An alert makes an issue; its changes are comments.",
  ],
  fields: [
    { key: "url", title: "Site", type: "url", example: "https://example.atlassian.net" },
    { key: "email", title: "Account", pattern: "\\S{1,200}", example: "ada@example.com" },
    { key: "token", title: "API token", secret: true, pattern: "\\S{8,500}", example: "ATATT3xFfGF0abcdef" },
    { key: "project", title: "Project key", pattern: "[A-Z][A-Z0-9_]{0,30}", example: "OPS" },
    { key: "type", title: "Issue type", pattern: ".{1,100}", required: false, default: "Task", example: "Incident" },
  ],
  send: {
    url: "{{ field.url }}/rest/api/2/issue",
    auth: jiraAuth,
    body: {
      fields: {
        project: { key: "{{ field.project }}" },
        issuetype: { name: "{{ field.type }}" },
        summary: "{{ n.title | line }}",
        description: JIRA_TEXT,
        labels: ["prism", "prism-{{ key | hash:16 }}"],
      },
    },
  },
  thread: {
    url: "{{ field.url }}/rest/api/2/issue/{{ ref.key }}/comment",
    auth: jiraAuth,
    body: { body: `{{ n.emoji }} {{ n.title | line | wiki }}\n${JIRA_TEXT}` },
  },
  ok: [{ status: 201, path: "$.id" }],
  ref: { key: "$.key" },
  errors: [
    { status: 401, class: "refused", hint: "the account or its API token is not valid" },
    { status: 403, class: "refused", hint: "the account may not create issues in this project" },
    { status: 404, for: ["thread"], class: "resend" },
    { status: 404, class: "refused", hint: "there is no Jira at this URL" },
    {
      status: 400,
      text: '"(project|issuetype)"',
      class: "refused",
      hint: "there is no such project or issue type, or the account may not create issues there",
    },
    {
      status: 400,
      class: "dead",
      hint: "Jira refuses a field: the issue type may ask for more fields than Prism sends",
    },
  ],
  cut: { "fields.summary": 250, "fields.description": 32_000, body: 32_000 },
  unit: "utf16",
  counts: "escaped",
  rate: { perSecond: 1, burst: 5 },
} satisfies ChannelPreset;
