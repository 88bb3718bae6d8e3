import type { ChannelPreset } from "../preset.ts";

const TEXT =
  "{{ n.emoji }} {{ n.title | line }}{{ n.message | prefix:'\n' }}{{ n.details | prefix:'\n' }}" +
  "{{ n.url | prefix:'\n' }}{{ n.ackUrl | prefix:'\nAcknowledge: ' }}";
const HTML =
  '<strong>{{ n.emoji }} <font color="{{ n.color }}">{{ n.title | line | html }}</font></strong>' +
  "{{ n.message | prefix:'\n' | html | br }}{{ n.details | prefix:'\n' | html | br }}" +
  "{{ n.url | html | prefix:'<br>' }}" +
  "{{ n.ackUrl | html | prefix:'<br><a href=\"' | suffix:'\">Acknowledge</a>' }}";

const content = {
  msgtype: "m.text",
  body: TEXT,
  format: "org.matrix.custom.html",
  formatted_body: HTML,
  // Without it clients search the text for names to notify.
  "m.mentions": {},
} as const;

const request = {
  method: "PUT",
  // The id of the delivery is the transaction: the server answers a repetition with the first event.
  url: "{{ field.url }}/_matrix/client/v3/rooms/{{ field.room }}/send/m.room.message/{{ id }}",
  auth: { bearer: "{{ field.token }}" },
} as const;

/** https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid */
export const matrix = {
  name: "matrix",
  title: "Matrix",
  group: "chat",
  docs: "matrix",
  setup: [
    "Create an account for Prism on the homeserver and copy its access token (in Element: Settings, Help & About).",
    "Invite the account to an unencrypted room and accept the invitation with it.",
    "Create the channel with the homeserver's URL, the token and the room's internal id, which begins with !.",
  ],
  fields: [
    { key: "url", title: "Homeserver", type: "url", example: "https://matrix.example.org" },
    {
      key: "token",
      title: "Access token",
      secret: true,
      pattern: "[\\w.~+/=-]{16,2000}",
      example: "syt_cHJpc20_abcdefghijklmnop_123456",
    },
    {
      key: "room",
      title: "Room id",
      pattern: "![^\\s]{1,254}",
      hint: "the internal id in the room's settings (Advanced); it begins with !. An alias (#…) is not one",
      example: "!abcdefghijklmnopqr:example.org",
    },
  ],
  send: { ...request, body: content },
  update: {
    ...request,
    body: {
      ...content,
      body: "* {{ n.emoji }} {{ n.title | line }}",
      "m.new_content": content,
      "m.relates_to": { rel_type: "m.replace", event_id: "{{ ref.event }}" },
    },
  },
  thread: {
    ...request,
    body: { ...content, "m.relates_to": { rel_type: "m.thread", event_id: "{{ ref.event }}" } },
  },
  remove: {
    method: "PUT",
    url: "{{ field.url }}/_matrix/client/v3/rooms/{{ field.room }}/redact/{{ ref.event }}/{{ id }}",
    auth: { bearer: "{{ field.token }}" },
    body: {},
  },
  ok: [{ status: 200, path: "$.event_id" }],
  ref: { event: "$.event_id" },
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "$.retry_after_ms ms", "30s"] },
    { path: "$.errcode", equals: "M_LIMIT_EXCEEDED", class: "wait", after: ["$.retry_after_ms ms", "30s"] },
    { status: 401, path: "$.soft_logout", equals: true, class: "retry" },
    {
      path: "$.errcode",
      equals: ["M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED"],
      class: "refused",
      hint: "the access token is no longer valid: log in again and use a new one",
    },
    { path: "$.errcode", equals: "M_TOO_LARGE", class: "shorten" },
    {
      path: "$.errcode",
      equals: "M_FORBIDDEN",
      class: "refused",
      hint: "the account must join the room and may write in it",
    },
    {
      path: "$.errcode",
      equals: ["M_NOT_FOUND", "M_UNRECOGNIZED"],
      class: "refused",
      hint: "check the URL and the room's id",
    },
    { status: [401, 403], class: "refused" },
  ],
  cut: { body: 6000, formatted_body: 9000, "m.new_content.body": 6000, "m.new_content.formatted_body": 9000 },
  unit: "bytes",
  counts: "escaped",
  maxBytes: 60_000,
  rate: { perSecond: 0.5, burst: 5 },
  mentions: "at",
} satisfies ChannelPreset;
