import type { ChannelPreset } from "../preset.ts";

/** The server's limit of a message (Message_MaxAllowedSize) is 5,000 unless it is changed. */
const MAX_TEXT = 3000;

/** https://developer.rocket.chat/docs/integrations-incoming */
export const rocketChat = {
  name: "rocket-chat",
  title: "Rocket.Chat (incoming webhook)",
  group: "chat",
  docs: "rocket-chat",
  setup: [
    "In Rocket.Chat open Workspace, Integrations, and add an incoming webhook for a channel.",
    "Switch it on and copy its URL.",
    "Create the channel with that URL. To change sent messages, use the preset rocket-chat-api.",
  ],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https?://.+/hooks/\\w+(/\\w+)?/\\w+/?",
      hint: "copy the whole URL, which holds /hooks/, an id and a token",
      example: "https://chat.example.com/hooks/65f0c0ffee/abcdefghijklmnop",
    },
    { key: "alias", title: "Name shown", pattern: ".{1,64}", required: false, default: "Prism", example: "Prism" },
  ],
  send: {
    url: "{{ field.url }}",
    body: {
      "alias?": "{{ field.alias }}",
      attachments: [
        {
          color: "{{ n.color }}",
          title: "{{ n.emoji }} {{ n.title | line | nolinks }}",
          "title_link?": "{{ n.url }}",
          text: "{{ n.message | nolinks }}{{ n.ackUrl | prefix:'\n\n[Acknowledge](' | suffix:')' }}",
          ts: "{{ n.at }}",
          "fields?": [
            {
              $each: "n.facts",
              $do: { short: true, title: "{{ item.title | line | nolinks }}", value: "{{ item.value | nolinks }}" },
            },
          ],
        },
      ],
    },
  },
  ok: [{ status: 200, path: "$.success", equals: true }],
  errors: [
    { status: 429, class: "wait", after: ["header:x-ratelimit-reset epoch-ms", "60s"] },
    { text: "error-too-many-requests", class: "wait", after: ["header:x-ratelimit-reset epoch-ms", "60s"] },
    { status: 503, path: "$.success", equals: false, class: "refused", hint: "the integration is switched off" },
    { text: "Invalid integration id or token", class: "refused", hint: "the integration was deleted" },
    { status: [401, 403, 404], class: "refused", hint: "the server no longer takes messages at this URL" },
    { text: "error-message-size-exceeded", class: "shorten" },
    { path: "$.success", equals: false, class: "dead" },
  ],
  cut: {
    "attachments.0.title": 250,
    "attachments.0.text": MAX_TEXT,
    "attachments.0.fields.*.title": 60,
    "attachments.0.fields.*.value": 100,
  },
  unit: "utf16",
  rate: { perSecond: 0.16, burst: 10 },
  mentions: "at",
} satisfies ChannelPreset;

const headers = { "X-Auth-Token": "{{ field.token }}", "X-User-Id": "{{ field.user }}" };
const TEXT =
  "{{ n.emoji }} *{{ n.title | line | nolinks }}*{{ n.message | nolinks | prefix:'\n' }}" +
  "{{ n.details | nolinks | prefix:'\n' }}" +
  "{{ n.url | prefix:'\n' }}{{ n.ackUrl | prefix:'\n[Acknowledge](' | suffix:')' }}";

/** https://developer.rocket.chat/apidocs/post-message */
export const rocketChatApi = {
  name: "rocket-chat-api",
  title: "Rocket.Chat (user)",
  group: "chat",
  docs: "rocket-chat",
  setup: [
    "In Rocket.Chat create a user of the type bot, and a personal access token for it.",
    "Add the user to the channel.",
    "Create the channel with the server's URL, the user's id, the token and the channel's name or id.",
  ],
  fields: [
    { key: "url", title: "Server", type: "url", example: "https://chat.example.com" },
    { key: "user", title: "User id", pattern: "[\\w-]{10,64}", example: "rbAXPnMktTFbNpwtJ" },
    {
      key: "token",
      title: "Access token",
      secret: true,
      pattern: "[\\w-]{20,200}",
      example: "RScctEHSmLGZGywfIhWyRpyofhKOiMoUIpimhvheU3f",
    },
    { key: "channel", title: "Channel", pattern: "[#@]?[^\\s#@]{1,100}", example: "#alerts" },
  ],
  send: {
    url: "{{ field.url }}/api/v1/chat.postMessage",
    headers,
    body: { channel: "{{ field.channel }}", text: TEXT },
  },
  update: {
    url: "{{ field.url }}/api/v1/chat.update",
    headers,
    body: { roomId: "{{ ref.room }}", msgId: "{{ ref.id }}", text: TEXT },
  },
  thread: {
    url: "{{ field.url }}/api/v1/chat.postMessage",
    headers,
    body: { $extend: "@send", tmid: "{{ ref.id }}" },
  },
  remove: {
    url: "{{ field.url }}/api/v1/chat.delete",
    headers,
    body: { roomId: "{{ ref.room }}", msgId: "{{ ref.id }}" },
  },
  ok: [{ status: 200, path: "$.success", equals: true }],
  ref: { id: "$.message._id", room: "$.message.rid" },
  errors: [
    { status: 429, class: "wait", after: ["header:x-ratelimit-reset epoch-ms", "60s"] },
    { text: "error-too-many-requests", class: "wait", after: ["header:x-ratelimit-reset epoch-ms", "60s"] },
    { status: 401, class: "refused", hint: "the user id or the access token is not valid" },
    { status: [400, 403, 404], for: ["update"], class: "resend" },
    { text: "error-message-size-exceeded", class: "shorten" },
    {
      text: "invalid-channel|error-room-not-found|error-not-allowed|room_is_blocked|room-archived",
      class: "refused",
      hint: "there is no such channel, or the user may not write to it",
    },
    { status: 403, class: "refused", hint: "the user may not write to the channel" },
    { path: "$.success", equals: false, class: "dead" },
  ],
  cut: { text: MAX_TEXT },
  unit: "utf16",
  rate: { perSecond: 0.16, burst: 10 },
  mentions: "at",
} satisfies ChannelPreset;
