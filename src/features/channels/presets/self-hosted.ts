import type { ChannelPreset } from "../preset.ts";

const TEXT =
  "{{ n.emoji }} {{ n.title | line | nolinks }}{{ n.message | nolinks | prefix:'\n' }}" +
  "{{ n.details | nolinks | prefix:'\n' }}" +
  "{{ n.url | prefix:'\n' }}{{ n.ackUrl | prefix:'\nAcknowledge: ' }}";

/** https://kb.synology.com/en-global/DSM/help/Chat/chat_integration */
export const synologyChat = {
  name: "synology-chat",
  title: "Synology Chat",
  group: "chat",
  docs: "more-services",
  setup: [
    "In Synology Chat open your picture, Integration, Incoming Webhooks, and create one for a channel.",
    "Copy its URL, with the token in it.",
    "Create the channel with that URL.",
  ],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https?://.+/webapi/entry\\.cgi\\?.*api=SYNO\\.Chat\\.External&.*token=.+",
      hint: "copy the whole URL, with api=SYNO.Chat.External and token=",
      example: "https://nas.example.com/webapi/entry.cgi?api=SYNO.Chat.External&method=incoming&version=2&token=abc",
    },
  ],
  send: { url: "{{ field.url }}", type: "form", body: { payload: { $json: { text: TEXT } } } },
  ok: [{ status: 200, path: "$.success", equals: true }],
  errors: [
    { path: "$.error.code", equals: 411, class: "wait", after: ["5s"] },
    { path: "$.error.code", equals: 117, class: "retry" },
    {
      path: "$.error.code",
      equals: [404, 407],
      class: "refused",
      hint: "the token is not valid, or the webhook is off",
    },
    { path: "$.success", equals: false, class: "dead" },
    { status: 404, class: "refused", hint: "there is no Synology Chat at this URL" },
  ],
  cut: { "payload.text": 2000 },
  unit: "codepoints",
  rate: { perSecond: 0.5, burst: 1 },
  mentions: "at",
} satisfies ChannelPreset;

const talk: Pick<ChannelPreset["send"], "headers" | "auth"> = {
  headers: { "OCS-APIRequest": "true", Accept: "application/json" },
  auth: { basic: ["{{ field.username }}", "{{ field.password }}"] },
};

/** https://nextcloud-talk.readthedocs.io/en/latest/chat/ */
export const nextcloudTalk = {
  name: "nextcloud-talk",
  title: "Nextcloud Talk",
  group: "chat",
  docs: "more-services",
  setup: [
    "In Nextcloud create an account for Prism, and an app password for it (Settings, Security).",
    "Add the account to the conversation; its token is the end of the conversation's link (/call/<token>).",
    "Create the channel with the server's URL, the account, the app password and the token.",
  ],
  fields: [
    { key: "url", title: "Server", type: "url", example: "https://cloud.example.com" },
    { key: "username", title: "Account", pattern: ".{1,64}", example: "prism" },
    { key: "password", title: "App password", secret: true, example: "abcde-fghij-klmno-pqrst-uvwxy" },
    { key: "room", title: "Token of the conversation", pattern: "[a-zA-Z0-9]{4,32}", example: "abcdef12" },
  ],
  send: {
    url: "{{ field.url }}/ocs/v2.php/apps/spreed/api/v1/chat/{{ field.room }}",
    ...talk,
    body: { message: TEXT, referenceId: "{{ id | hash }}" },
  },
  update: {
    method: "PUT",
    url: "{{ field.url }}/ocs/v2.php/apps/spreed/api/v1/chat/{{ field.room }}/{{ ref.id }}",
    ...talk,
    body: { message: TEXT },
  },
  thread: {
    url: "{{ field.url }}/ocs/v2.php/apps/spreed/api/v1/chat/{{ field.room }}",
    ...talk,
    body: { $extend: "@send", replyTo: { $number: "ref.id" } },
  },
  remove: {
    method: "DELETE",
    url: "{{ field.url }}/ocs/v2.php/apps/spreed/api/v1/chat/{{ field.room }}/{{ ref.id }}",
    ...talk,
  },
  ok: [
    { status: 201, path: "$.ocs.data.id" },
    { status: [200, 202], for: ["update", "remove"] },
  ],
  ref: { id: "$.ocs.data.id" },
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "30s"] },
    { status: 401, class: "refused", hint: "the account or its app password is not valid" },
    // Messages can be edited for a day, by Nextcloud 29 and later.
    { status: [400, 403, 404, 405], for: ["update"], class: "resend" },
    { status: 403, class: "refused", hint: "the conversation is read-only" },
    { status: 404, class: "refused", hint: "the account is not in a conversation with this token" },
    { status: 412, class: "refused", hint: "the conversation's lobby is open: make the account a moderator" },
    { status: 413, class: "shorten" },
  ],
  cut: { message: 8000 },
  unit: "codepoints",
  rate: { perSecond: 1, burst: 10 },
  mentions: "at",
} satisfies ChannelPreset;

/** https://companion.home-assistant.io/docs/notifications/notifications-basic */
export const homeAssistant = {
  name: "home-assistant",
  title: "Home Assistant",
  group: "push",
  docs: "more-services",
  setup: [
    "In Home Assistant open your profile, Security, and create a long-lived access token.",
    "Find the service's name in Developer Tools, Actions: mobile_app_<phone>.",
    "Create the channel with the server's URL, the token and the service.",
  ],
  fields: [
    { key: "url", title: "Server", type: "url", example: "https://home.example.com:8123" },
    {
      key: "token",
      title: "Long-lived access token",
      secret: true,
      pattern: "[\\w.-]{30,500}",
      example: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.abc",
    },
    {
      key: "service",
      title: "Notify service, without “notify.”",
      pattern: "[a-z0-9_]{1,100}",
      required: false,
      default: "notify",
      example: "mobile_app_phone",
    },
  ],
  send: {
    url: "{{ field.url }}/api/services/notify/{{ field.service }}",
    auth: { bearer: "{{ field.token }}" },
    body: {
      title: "{{ n.emoji }} {{ n.title | line | nocommand }}",
      message: "{{ n.message | default:n.title | nocommand }}{{ n.details | nocommand | prefix:'\n' }}",
      data: {
        $if: "field.service != 'persistent_notification'",
        // A message with the same tag replaces the first one.
        tag: "{{ key | hash:32 }}",
        group: "prism",
        "url?": "{{ n.url }}",
        "clickAction?": "{{ n.url }}",
        "actions?": [{ $if: "n.ackUrl", action: "URI", title: "Acknowledge", uri: "{{ n.ackUrl }}" }],
        ttl: 0,
        priority: "high",
        push: { $if: "n.severity == 'critical' && n.status != 'resolved'", "interruption-level": "time-sensitive" },
      },
    },
  },
  ok: [{ status: 200, text: "^\\s*\\[" }],
  errors: [
    { status: [401, 403], class: "refused", hint: "the access token is not valid, or this address is banned" },
    { status: 400, class: "dead", hint: "is there a notify service of this name, and does it take data?" },
    { status: 404, class: "refused", hint: "there is no Home Assistant at this URL" },
  ],
  cut: { title: 250, message: 2500 },
  unit: "codepoints",
  maxBytes: 4000,
  rate: { perSecond: 1, burst: 10 },
} satisfies ChannelPreset;
