import type { ChannelPreset } from "../preset.ts";

/** https://developers.mattermost.com/integrate/reference/message-attachments/ */
const attachments = [
  {
    fallback: "{{ n.title | line }}",
    color: "{{ n.color }}",
    title: "{{ n.emoji }} {{ n.title | line | md }}",
    "title_link?": "{{ n.url }}",
    text: "{{ n.message | md }}{{ n.ackUrl | prefix:'\n\n[Acknowledge](' | suffix:')' }}",
    "fields?": [
      { $each: "n.facts", $do: { short: true, title: "{{ item.title | line | md }}", value: "{{ item.value | md }}" } },
    ],
    "actions?": [
      {
        $if: "n.ackToken",
        id: "ack",
        name: "Acknowledge",
        type: "button",
        integration: { url: "{{ n.hookUrl }}/mattermost", context: { token: "{{ n.ackToken }}" } },
      },
    ],
    footer: "{{ n.severity }} · {{ n.statusText }} · {{ n.atText }}{{ n.project | prefix:' · ' }}",
  },
] as const;

/** The server's limit of 16,383 is of the text; older servers split attachments of 8,000. */
const limitsAt = (path: string) => ({
  [`${path}.0.fallback`]: 250,
  [`${path}.0.title`]: 250,
  [`${path}.0.text`]: 3500,
  [`${path}.0.fields.*.title`]: 50,
  [`${path}.0.fields.*.value`]: 200,
  [`${path}.0.footer`]: 250,
});

const SERVER = { key: "url", title: "Server", type: "url", example: "https://chat.example.com" } as const;

/** https://developers.mattermost.com/integrate/webhooks/incoming/ */
export const mattermost = {
  name: "mattermost",
  title: "Mattermost (incoming webhook)",
  group: "chat",
  docs: "mattermost",
  setup: [
    "In Mattermost open Integrations, Incoming Webhooks, and add one for a channel.",
    "Copy its URL.",
    "Create the channel with that URL. To change sent messages, use the preset mattermost-api.",
  ],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https?://.+/hooks/[a-z0-9]{26}/?",
      hint: "copy the whole URL, which ends with /hooks/ and 26 letters and digits",
      example: "https://chat.example.com/hooks/abcdefghijklmnopqrstuvwxyz",
    },
    {
      key: "channel",
      title: "Another channel",
      pattern: "@?[a-z0-9._-]{1,64}",
      required: false,
      example: "town-square",
    },
    { key: "username", title: "Name shown", pattern: ".{1,64}", required: false, default: "Prism", example: "Prism" },
  ],
  send: {
    url: "{{ field.url }}",
    body: { "channel?": "{{ field.channel }}", "username?": "{{ field.username }}", text: "", attachments },
  },
  ok: [{ status: 200, text: "^ok$" }],
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "header:x-ratelimit-reset", "60s"] },
    {
      path: "$.id",
      equals: ["web.incoming_webhook.invalid.app_error", "web.incoming_webhook.disabled.app_error"],
      class: "refused",
      hint: "the webhook was deleted, or incoming webhooks are off on this server",
    },
    {
      path: "$.id",
      equals: "web.incoming_webhook.channel.app_error",
      class: "refused",
      hint: "there is no such channel",
    },
    { status: [403, 404], class: "refused", hint: "the server no longer takes messages at this URL" },
    { status: 413, class: "shorten" },
  ],
  cut: limitsAt("attachments"),
  unit: "codepoints",
  counts: "escaped",
  drop: ["attachments.0.fields"],
  rate: { perSecond: 5, burst: 10 },
  mentions: "at",
} satisfies ChannelPreset;

/** https://developers.mattermost.com/api-documentation/#/operations/CreatePost */
export const mattermostApi = {
  name: "mattermost-api",
  title: "Mattermost (bot)",
  group: "chat",
  docs: "mattermost",
  setup: [
    "In Mattermost open Integrations, Bot Accounts, create a bot and copy its token.",
    "Add the bot to the team and the channel.",
    "Create the channel with the server's URL, the token and the channel's id (in “View Info”).",
  ],
  fields: [
    SERVER,
    { key: "token", title: "Bot token", secret: true, pattern: "[a-z0-9]{26}", example: "abcdefghijklmnopqrstuvwxyz" },
    { key: "channel", title: "Channel id", pattern: "[a-z0-9]{26}", example: "zyxwvutsrqponmlkjihgfedcba" },
  ],
  send: {
    url: "{{ field.url }}/api/v4/posts",
    auth: { bearer: "{{ field.token }}" },
    // The server drops a repetition with the same pending_post_id.
    body: { channel_id: "{{ field.channel }}", message: "", pending_post_id: "{{ id }}", props: { attachments } },
  },
  update: {
    method: "PUT",
    url: "{{ field.url }}/api/v4/posts/{{ ref.id }}/patch",
    auth: { bearer: "{{ field.token }}" },
    body: { message: "", props: { attachments } },
  },
  thread: {
    url: "{{ field.url }}/api/v4/posts",
    auth: { bearer: "{{ field.token }}" },
    body: { $extend: "@send", root_id: "{{ ref.id }}" },
  },
  remove: { method: "DELETE", url: "{{ field.url }}/api/v4/posts/{{ ref.id }}", auth: { bearer: "{{ field.token }}" } },
  ok: [
    { status: [200, 201], path: "$.id" },
    { status: 200, path: "$.status", equals: "OK", for: ["remove"] },
  ],
  ref: { id: "$.id" },
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "header:x-ratelimit-reset", "60s"] },
    { status: 401, class: "refused", hint: "the bot token is not valid" },
    { status: [400, 403, 404], for: ["update"], class: "resend" },
    { status: 400, path: "$.id", equals: "api.post.create_post.root_id.app_error", class: "resend" },
    { status: [403, 404], class: "refused", hint: "add the bot to the channel, or choose another one" },
    { status: 413, class: "shorten" },
  ],
  cut: limitsAt("props.attachments"),
  unit: "codepoints",
  counts: "escaped",
  drop: ["props.attachments.0.fields"],
  rate: { perSecond: 5, burst: 10 },
  mentions: "at",
} satisfies ChannelPreset;
