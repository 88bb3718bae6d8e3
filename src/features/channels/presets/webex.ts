import type { ChannelPreset } from "../preset.ts";

const MARKDOWN =
  "{{ n.emoji }} **{{ n.title | line | md }}**{{ n.message | md | br:'  \n' | prefix:'\n\n' }}" +
  "{{ n.details | md | br:'  \n' | prefix:'  \n' }}" +
  "{{ n.url | prefix:'\n\n[Open](' | suffix:')' }}{{ n.ackUrl | prefix:' [Acknowledge](' | suffix:')' }}";

/** https://developer.webex.com/messaging/docs/api/v1/messages/create-a-message */
export const webex = {
  name: "webex",
  title: "Webex",
  group: "chat",
  docs: "webex",
  setup: [
    "At developer.webex.com create a bot and copy its access token.",
    "Add the bot to a space (or write to a person by mail address).",
    "Create the channel with the token and the space's id, which GET /v1/rooms lists.",
  ],
  fields: [
    {
      key: "token",
      title: "Bot access token",
      secret: true,
      pattern: "[\\w.-]{40,300}",
      example: "ZDI3MGEyYzQtNmFlNS00NDNhLWFlNzAtZGVjNjE0MGU1OGZmZWNk",
    },
    {
      key: "room",
      title: "Space id",
      pattern: "[\\w=+/-]{20,200}",
      required: false,
      hint: "give the id of a space, or a mail address",
      example: "Y2lzY29zcGFyazovL3VzL1JPT00vYWJj",
    },
    {
      key: "email",
      title: "Or the mail address of a person",
      pattern: "[^@\\s]+@[^@\\s]+",
      required: false,
      example: "ada@example.com",
    },
  ],
  hosts: ["webexapis.com"],
  send: {
    url: "https://webexapis.com/v1/messages",
    auth: { bearer: "{{ field.token }}" },
    body: {
      "roomId?": "{{ field.room }}",
      "toPersonEmail?": { $if: "!field.room", $then: "{{ field.email }}" },
      markdown: MARKDOWN,
    },
  },
  // A message can be edited ten times.
  update: {
    method: "PUT",
    url: "https://webexapis.com/v1/messages/{{ ref.id }}",
    auth: { bearer: "{{ field.token }}" },
    body: { roomId: "{{ ref.room }}", markdown: MARKDOWN },
  },
  thread: {
    url: "https://webexapis.com/v1/messages",
    auth: { bearer: "{{ field.token }}" },
    body: { roomId: "{{ ref.room }}", parentId: "{{ ref.id }}", markdown: MARKDOWN },
  },
  remove: {
    method: "DELETE",
    url: "https://webexapis.com/v1/messages/{{ ref.id }}",
    auth: { bearer: "{{ field.token }}" },
  },
  ok: [
    { status: 200, path: "$.id" },
    { status: 204, for: ["remove"] },
  ],
  ref: { id: "$.id", room: "$.roomId" },
  errors: [
    { status: [423, 429], class: "wait", after: ["header:retry-after", "30s"] },
    { status: 401, class: "refused", hint: "the access token is not valid" },
    { status: [400, 404], for: ["update", "thread"], class: "resend" },
    { status: 400, text: "length|too (large|long)", class: "shorten" },
    { status: [403, 404], class: "refused", hint: "the bot is not in the space, or the person cannot be found" },
    { status: 400, text: "toPersonId|roomId", class: "refused", hint: "give the id of a space, or a mail address" },
    { status: 400, class: "dead" },
  ],
  cut: { markdown: 7000 },
  unit: "bytes",
  counts: "escaped",
  rate: { perSecond: 1, burst: 5 },
  mentions: "angle",
} satisfies ChannelPreset;
