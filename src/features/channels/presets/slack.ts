import type { ChannelPreset } from "../preset.ts";

const TITLE = "{{ n.emoji }} *{{ n.title | line | mrkdwn }}*";

/** https://docs.slack.dev/reference/block-kit/blocks */
const body = {
  text: TITLE,
  unfurl_links: false,
  unfurl_media: false,
  attachments: [
    {
      color: "{{ n.color }}",
      fallback: "{{ n.title | line | mrkdwn }}",
      blocks: [
        { $if: "n.message", type: "section", text: { type: "mrkdwn", text: "{{ n.message | mrkdwn }}" } },
        {
          $if: "n.facts",
          type: "section",
          fields: [
            {
              $each: "n.facts",
              $do: { type: "mrkdwn", text: "*{{ item.title | line | mrkdwn }}*\n{{ item.value | mrkdwn }}" },
            },
          ],
        },
        {
          type: "context",
          elements: [
            {
              type: "mrkdwn",
              text: "{{ n.severity }} · {{ n.statusText }} · {{ n.atText }}{{ n.project | mrkdwn | prefix:' · ' }}",
            },
          ],
        },
        {
          $if: "n.url",
          type: "actions",
          elements: [
            { type: "button", text: { type: "plain_text", text: "Open" }, url: "{{ n.url }}" },
            {
              $if: "n.ackToken && field.signingSecret",
              $then: {
                type: "button",
                action_id: "ack",
                value: "{{ n.ackToken }}",
                text: { type: "plain_text", text: "Acknowledge" },
              },
              $else: {
                $if: "n.ackUrl",
                type: "button",
                text: { type: "plain_text", text: "Acknowledge" },
                url: "{{ n.ackUrl }}",
              },
            },
          ],
        },
      ],
    },
  ],
} as const;

/** Slack reports a press of a button only to an app's own URL, signed with this. */
const SIGNING_SECRET = {
  key: "signingSecret",
  title: "Signing secret of the app, for buttons that need no browser",
  secret: true,
  pattern: "[0-9a-f]{32}",
  required: false,
  hint: "in the app's Basic Information: 32 characters",
  example: "8f742231b10e8888abcd99000000085a",
} as const;

const limits = {
  cut: {
    text: 1000,
    "attachments.0.fallback": 1000,
    "attachments.0.blocks.*.text.text": 3000,
    "attachments.0.blocks.*.fields.*.text": 2000,
    "attachments.0.blocks.*.elements.0.text": 2000,
  },
  unit: "utf16",
  counts: "escaped",
  rate: { perSecond: 1, burst: 5 },
} as const;

/** https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
export const slack = {
  name: "slack",
  title: "Slack (incoming webhook)",
  group: "chat",
  docs: "slack",
  setup: [
    "Create a Slack app at api.slack.com/apps and switch Incoming Webhooks on.",
    "Add a webhook to a channel and copy its URL.",
    "Create the channel with that URL. To change sent messages, use the preset slack-api.",
  ],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https://hooks\\.slack(-gov)?\\.com/(services|triggers|workflows)/[\\w/]+",
      hint: "copy the whole URL, which starts with https://hooks.slack.com/services/",
      example: "https://hooks.slack.com/services/T000/B000/XXXXXXXX",
    },
    {
      key: "channel",
      title: "Another channel than the webhook's; only older webhooks can",
      pattern: "[#@]?[^\\s#@]{1,80}",
      required: false,
      example: "#alerts",
    },
    SIGNING_SECRET,
  ],
  hosts: ["hooks.slack.com", "hooks.slack-gov.com"],
  send: { url: "{{ field.url }}", body: { $extend: body, "channel?": "{{ field.channel }}" } },
  ok: [{ status: 200, text: "^ok" }],
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after"] },
    {
      text: "^(channel_is_archived|no_service|no_team|team_disabled)",
      class: "gone",
      hint: "the webhook or its channel was removed in Slack: create a new one",
    },
    { text: "invalid_token|channel_not_found", class: "refused" },
    { status: [403, 404, 410], class: "refused", hint: "Slack takes no messages at this URL: create a new one" },
    { status: 400, class: "dead" },
  ],
  ...limits,
} satisfies ChannelPreset;

/** https://docs.slack.dev/reference/methods/chat.postMessage */
export const slackApi = {
  name: "slack-api",
  title: "Slack (bot)",
  group: "chat",
  docs: "slack",
  setup: [
    "Create a Slack app with the scope chat:write, install it and copy the bot token.",
    "Invite the bot to the channel: /invite @your-app.",
    "Create the channel with the token and the channel's id (in its details, C…).",
  ],
  fields: [
    { key: "token", title: "Bot token", secret: true, pattern: "xox[bpe]-[\\w-]+", example: "xoxb-1234-abcd" },
    { key: "channel", title: "Channel id", pattern: "[CDGU][A-Z0-9]+|#[^\\s]+", example: "C0123456789" },
    SIGNING_SECRET,
  ],
  hosts: ["slack.com"],
  send: {
    url: "https://slack.com/api/chat.postMessage",
    auth: { bearer: "{{ field.token }}" },
    body: { $extend: body, channel: "{{ field.channel }}" },
  },
  update: {
    url: "https://slack.com/api/chat.update",
    auth: { bearer: "{{ field.token }}" },
    body: { $extend: "@send", channel: "{{ ref.channel }}", ts: "{{ ref.ts }}" },
  },
  thread: {
    url: "https://slack.com/api/chat.postMessage",
    auth: { bearer: "{{ field.token }}" },
    body: { $extend: "@send", channel: "{{ ref.channel }}", thread_ts: "{{ ref.ts }}" },
  },
  remove: {
    url: "https://slack.com/api/chat.delete",
    auth: { bearer: "{{ field.token }}" },
    body: { channel: "{{ ref.channel }}", ts: "{{ ref.ts }}" },
  },
  // The status is 200 for most errors.
  ok: [{ status: 200, path: "$.ok", equals: true }],
  ref: { channel: "$.channel", ts: "$.ts" },
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after"] },
    { path: "$.error", equals: ["ratelimited", "rate_limited"], class: "wait", after: ["header:retry-after", "30s"] },
    { path: "$.error", equals: ["message_not_found", "cant_update_message", "edit_window_closed"], class: "resend" },
    {
      path: "$.error",
      equals: ["account_inactive", "token_revoked"],
      class: "gone",
      hint: "the app was removed from the workspace: install it again and copy its token",
    },
    { path: "$.error", equals: "is_archived", class: "gone", hint: "the channel is archived: choose another one" },
    {
      path: "$.error",
      equals: ["invalid_auth", "not_authed", "token_expired"],
      class: "refused",
      hint: "the bot token is not valid: install the app again and copy its token",
    },
    { path: "$.error", equals: ["missing_scope", "no_permission"], class: "refused", hint: "the app needs chat:write" },
    {
      path: "$.error",
      equals: ["channel_not_found", "not_in_channel", "restricted_action"],
      class: "refused",
      hint: "invite the bot to the channel, or choose another one",
    },
    { path: "$.error", equals: "msg_too_long", class: "shorten" },
    {
      path: "$.error",
      equals: ["internal_error", "fatal_error", "request_timeout", "service_unavailable"],
      class: "retry",
    },
    { path: "$.error", class: "dead" },
  ],
  ...limits,
} satisfies ChannelPreset;
