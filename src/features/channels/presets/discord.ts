import type { ChannelPreset } from "../preset.ts";

/** https://discord.com/developers/docs/resources/webhook#execute-webhook */
export const discord = {
  name: "discord",
  title: "Discord",
  group: "chat",
  docs: "discord",
  setup: [
    "In Discord open the channel's settings, Integrations, Webhooks, and create a webhook.",
    "Copy its URL.",
    "Create the channel with that URL; for a thread or a forum post, also with the thread's id.",
  ],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https://(ptb\\.|canary\\.)?discord(app)?\\.com/api/(v\\d+/)?webhooks/\\d+/[\\w-]+",
      hint: "copy the whole URL, which starts with https://discord.com/api/webhooks/",
      example: "https://discord.com/api/webhooks/123456789012345678/abcDEF",
    },
    { key: "thread", title: "Thread id", pattern: "\\d{5,25}", required: false, example: "123456789012345678" },
  ],
  hosts: ["discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"],
  send: {
    url: "{{ field.url }}",
    // Without wait, Discord answers 204 even if it does not store the message.
    query: { wait: "true", "thread_id?": "{{ field.thread }}" },
    body: {
      embeds: [
        {
          title: "{{ n.emoji }} {{ n.title | line | md }}",
          "description?": "{{ n.message | md }}",
          "url?": "{{ n.url }}",
          color: { $value: "n.colorNumber" },
          timestamp: "{{ n.at }}",
          "fields?": [
            {
              $each: "n.facts",
              $do: { name: "{{ item.title | line | md }}", value: "{{ item.value | md }}", inline: true },
            },
            { $if: "n.ackUrl", name: "Acknowledge", value: "[Acknowledge]({{ n.ackUrl }})" },
          ],
          footer: { text: "{{ n.severity }} · {{ n.statusText }}{{ n.project | prefix:' · ' }}" },
        },
      ],
      allowed_mentions: { parse: [] },
    },
  },
  update: {
    method: "PATCH",
    url: "{{ field.url }}/messages/{{ ref.id }}",
    query: { "thread_id?": "{{ field.thread }}" },
    body: "@send",
  },
  remove: {
    method: "DELETE",
    url: "{{ field.url }}/messages/{{ ref.id }}",
    query: { "thread_id?": "{{ field.thread }}" },
  },
  ok: [
    { status: 200, path: "$.id" },
    { status: 204, for: ["remove"] },
  ],
  ref: { id: "$.id" },
  errors: [
    { status: 429, class: "wait", after: ["$.retry_after", "header:retry-after", "header:x-ratelimit-reset-after"] },
    { path: "$.code", equals: 10008, for: ["update"], class: "resend" },
    { path: "$.code", equals: 10015, class: "gone", hint: "the webhook was deleted in Discord: create a new one" },
    { path: "$.code", equals: 10003, class: "refused", hint: "the Discord channel or thread no longer exists" },
    { status: [401, 403, 404], class: "refused", hint: "Discord no longer takes messages at this URL" },
    { status: 400, class: "dead" },
  ],
  cut: {
    "embeds.0.title": 256,
    "embeds.0.description": 3000,
    "embeds.0.fields.*.name": 80,
    "embeds.0.fields.*.value": 1000,
    "embeds.0.footer.text": 200,
  },
  unit: "utf16",
  counts: "escaped",
  maxText: 6000,
  drop: ["embeds.0.fields"],
  rate: { perSecond: 2, burst: 4 },
} satisfies ChannelPreset;
