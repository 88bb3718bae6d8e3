import type { ChannelPreset } from "../preset.ts";

const BASE = "https://api.telegram.org/bot{{ field.token }}";
const TEXT =
  "<b>{{ n.emoji }} {{ n.title | line | html }}</b>\n{{ n.message | html }}" + "{{ n.project | html | prefix:'\n' }}";

const keyboard = {
  $if: "n.url",
  inline_keyboard: [
    [
      { text: "Open", url: "{{ n.url }}" },
      {
        $if: "n.ackToken && field.webhookSecret",
        $then: { text: "Acknowledge", callback_data: "{{ n.ackToken }}" },
        $else: { $if: "n.ackUrl", text: "Acknowledge", url: "{{ n.ackUrl }}" },
      },
    ],
  ],
} as const;

const body = {
  chat_id: "{{ field.chat }}",
  "message_thread_id?": "{{ field.topic }}",
  text: TEXT,
  parse_mode: "HTML",
  disable_notification: { $if: "field.silent == 'on'", $then: true },
  link_preview_options: { is_disabled: true },
  reply_markup: keyboard,
} as const;

/** https://core.telegram.org/bots/api#sendmessage */
export const telegram = {
  name: "telegram",
  title: "Telegram",
  group: "chat",
  docs: "telegram",
  setup: [
    "Write /newbot to @BotFather and copy the token.",
    "Write a message to the bot, or add it to a group; the chat's id is in api.telegram.org/bot<token>/getUpdates.",
    "Create the channel with the token and the chat's id.",
  ],
  fields: [
    {
      key: "token",
      title: "Bot token",
      secret: true,
      pattern: "\\d+:[\\w-]{20,}",
      example: "123456:ABC-DEF1234ghIkl-zyx57W2v",
    },
    { key: "chat", title: "Chat id or @channel", pattern: "-?\\d+|@\\w+", example: "-1001234567890" },
    { key: "topic", title: "Topic id of a forum", pattern: "\\d+", required: false, example: "42" },
    {
      key: "silent",
      title: "Messages without a sound",
      type: "choice",
      choices: ["on", "off"],
      default: "off",
      required: false,
      example: "on",
    },
    {
      key: "webhookSecret",
      title: "secret_token of the bot's webhook, for buttons that need no browser",
      secret: true,
      pattern: "[\\w-]{16,256}",
      required: false,
      hint: "16 to 256 letters, digits, _ and -, the same as in setWebhook",
      example: "c0ffee-c0ffee-c0ffee",
    },
  ],
  hosts: ["api.telegram.org"],
  mentions: "at",
  send: { url: `${BASE}/sendMessage`, body },
  update: {
    url: `${BASE}/editMessageText`,
    body: {
      chat_id: "{{ ref.chat }}",
      message_id: "{{ ref.id }}",
      text: TEXT,
      parse_mode: "HTML",
      link_preview_options: { is_disabled: true },
      reply_markup: keyboard,
    },
  },
  thread: {
    url: `${BASE}/sendMessage`,
    body: { $extend: "@send", reply_parameters: { message_id: "{{ ref.id }}", allow_sending_without_reply: true } },
  },
  remove: { url: `${BASE}/deleteMessage`, body: { chat_id: "{{ ref.chat }}", message_id: "{{ ref.id }}" } },
  plain: {
    url: `${BASE}/sendMessage`,
    body: { chat_id: "{{ field.chat }}", "message_thread_id?": "{{ field.topic }}", text: "{{ n.text }}" },
  },
  ok: [{ status: 200, path: "$.ok", equals: true }],
  ref: { id: "$.result.message_id", chat: "$.result.chat.id" },
  errors: [
    { status: 429, class: "wait", after: ["$.parameters.retry_after", "header:retry-after"] },
    {
      path: "$.parameters.migrate_to_chat_id",
      class: "retry",
      set: { chat: "$.parameters.migrate_to_chat_id" },
      hint: "the group has become a supergroup; its new id is stored",
    },
    { text: "message is not modified", class: "ok" },
    { text: "message to edit not found|message can't be edited|MESSAGE_ID_INVALID", class: "resend" },
    { text: "can't parse entities|BUTTON_URL_INVALID|wrong HTTP URL", class: "plain" },
    { text: "message is too long", class: "shorten" },
    { status: 401, class: "refused", hint: "the bot token is not valid" },
    { status: 404, class: "refused", hint: "the bot token is not valid" },
    {
      status: 403,
      text: "blocked by the user|user is deactivated|bot was kicked|group chat was deleted",
      class: "gone",
      hint: "the bot was blocked or removed from the chat",
    },
    { status: 403, class: "refused", hint: "the bot may not write to the chat" },
    {
      text: "chat not found|message thread not found|not enough rights|PEER_ID_INVALID",
      class: "refused",
      hint: "write to the bot first, or add it to the group and check the chat's id",
    },
    { status: 400, class: "dead" },
  ],
  cut: { text: 4096 },
  unit: "utf16",
  rate: { perSecond: 0.33, burst: 5 },
} satisfies ChannelPreset;
