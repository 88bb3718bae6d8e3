import type { ChannelPreset } from "../preset.ts";

const CONTENT =
  "{{ n.emoji }} **{{ n.title | line | nolinks }}**{{ n.message | nolinks | prefix:'\n' }}{{ n.details | nolinks | prefix:'\n' }}" +
  "{{ n.url | prefix:'\n[Open](' | suffix:')' }}{{ n.ackUrl | prefix:' [Acknowledge](' | suffix:')' }}";

/** https://zulip.com/api/send-message */
export const zulip = {
  name: "zulip",
  title: "Zulip",
  group: "chat",
  docs: "zulip",
  setup: [
    "In Zulip open Settings, Bots, add an incoming webhook bot, and copy its address and API key.",
    "Choose the Zulip channel (stream) that it writes to.",
    "Create the channel with the organisation's URL, the bot's address, its key and the stream.",
  ],
  fields: [
    { key: "url", title: "Organisation", type: "url", example: "https://example.zulipchat.com" },
    {
      key: "email",
      title: "Address of the bot",
      pattern: "[^@\\s]+@[^@\\s]+",
      example: "prism-bot@example.zulipchat.com",
    },
    {
      key: "token",
      title: "API key",
      secret: true,
      pattern: "[A-Za-z0-9]{32}",
      example: "abcdefghijklmnopqrstuvwxyz012345",
    },
    { key: "stream", title: "Stream", pattern: ".{1,60}", example: "alerts" },
    {
      key: "topic",
      title: "Topic; without, one for each title",
      pattern: ".{1,60}",
      required: false,
      example: "Prism",
    },
  ],
  send: {
    url: "{{ field.url }}/api/v1/messages",
    auth: { basic: ["{{ field.email }}", "{{ field.token }}"] },
    type: "form",
    body: {
      type: "stream",
      to: "{{ field.stream }}",
      topic: { $if: "field.topic", $then: "{{ field.topic }}", $else: "{{ n.title | line }}" },
      content: CONTENT,
    },
  },
  update: {
    method: "PATCH",
    url: "{{ field.url }}/api/v1/messages/{{ ref.id }}",
    auth: { basic: ["{{ field.email }}", "{{ field.token }}"] },
    type: "form",
    body: { content: CONTENT },
  },
  remove: {
    method: "DELETE",
    url: "{{ field.url }}/api/v1/messages/{{ ref.id }}",
    auth: { basic: ["{{ field.email }}", "{{ field.token }}"] },
  },
  ok: [
    { status: 200, path: "$.id" },
    { status: 200, path: "$.result", equals: "success", for: ["update", "remove"] },
  ],
  ref: { id: "$.id" },
  errors: [
    { status: 429, class: "wait", after: ["$.retry-after", "header:retry-after", "60s"] },
    { path: "$.code", equals: "RATE_LIMIT_HIT", class: "wait", after: ["$.retry-after", "60s"] },
    {
      path: "$.code",
      equals: ["INVALID_API_KEY", "UNAUTHORIZED", "UNAUTHENTICATED_USER", "USER_DEACTIVATED", "REALM_DEACTIVATED"],
      class: "refused",
      hint: "the bot's address or its API key is not valid",
    },
    { status: 401, class: "refused", hint: "the bot's address or its API key is not valid" },
    // Organisations limit for how long a message can be edited.
    { status: [400, 403, 404], for: ["update"], class: "resend" },
    { path: "$.code", equals: "STREAM_DOES_NOT_EXIST", class: "refused", hint: "there is no such stream" },
    { path: "$.code", equals: "NONEXISTENT_SUBDOMAIN", class: "refused", hint: "there is no such organisation" },
    { status: 400, text: "not authorized to send", class: "refused", hint: "subscribe the bot to the stream" },
    { status: 413, class: "shorten" },
  ],
  cut: { topic: 60, content: 9000 },
  unit: "codepoints",
  counts: "escaped",
  rate: { perSecond: 2, burst: 20 },
  mentions: "at",
} satisfies ChannelPreset;
