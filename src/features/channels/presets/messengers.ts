import type { ChannelPreset } from "../preset.ts";

const TEXT =
  "{{ n.emoji }} {{ n.title | line }}{{ n.message | prefix:'\n' }}{{ n.details | prefix:'\n' }}" +
  "{{ n.url | prefix:'\n' }}{{ n.ackUrl | prefix:'\nAcknowledge: ' }}";
const PHONE = "\\+[1-9]\\d{6,14}";

const signalBody = {
  number: "{{ field.number }}",
  recipients: ["{{ field.recipient }}"],
  message: TEXT,
  text_mode: "normal",
} as const;

/** https://bbernhard.github.io/signal-cli-rest-api/ */
export const signal = {
  name: "signal",
  title: "Signal (signal-cli-rest-api)",
  group: "push",
  docs: "signal",
  setup: [
    "Run signal-cli-rest-api and register or link a number with it.",
    "Send it a first message from the phone of the recipient, or add its number to the group.",
    "Create the channel with the API's URL, the number and the recipient: +49…, group.… or a user name (user.01).",
  ],
  fields: [
    { key: "url", title: "URL of signal-cli-rest-api", type: "url", example: "http://signal:8080" },
    { key: "number", title: "Number of the sender", pattern: PHONE, example: "+4930123456" },
    {
      key: "recipient",
      title: "Recipient",
      pattern: `${PHONE}|group\\.\\S{8,200}|[^\\s+]{3,100}`,
      example: "+4930654321",
    },
    { key: "username", title: "User name, if a proxy asks for one", required: false, example: "prism" },
    { key: "password", title: "Password", secret: true, required: false, example: "secret" },
  ],
  send: {
    url: "{{ field.url }}/v2/send",
    auth: { basic: ["{{ field.username }}", "{{ field.password }}"] },
    body: signalBody,
  },
  update: {
    url: "{{ field.url }}/v2/send",
    auth: { basic: ["{{ field.username }}", "{{ field.password }}"] },
    body: { ...signalBody, edit_timestamp: { $number: "ref.timestamp" } },
  },
  remove: {
    method: "DELETE",
    url: "{{ field.url }}/v1/remote-delete/{{ field.number }}",
    auth: { basic: ["{{ field.username }}", "{{ field.password }}"] },
    body: { recipient: "{{ field.recipient }}", timestamp: { $number: "ref.timestamp" } },
  },
  ok: [{ status: 201, path: "$.timestamp" }],
  ref: { timestamp: "$.timestamp" },
  errors: [
    {
      status: 429,
      class: "refused",
      hint: "Signal wants a captcha solved: send the challenge to /v1/accounts/<number>/rate-limit-challenge",
    },
    { status: [401, 403], class: "refused", hint: "the user name or the password is not valid" },
    // Every failure but a rate limit is 400.
    {
      status: 400,
      text: "unregistered|not registered|account .* does not exist|valid number|invalid (number|recipient|group)",
      class: "refused",
      hint: "the sender or the recipient is not registered with Signal",
    },
    { status: 400, text: "couldn't process request|invalid request", class: "dead" },
    { status: 400, text: "edit|target message", for: ["update"], class: "resend" },
    { status: 400, class: "retry" },
  ],
  cut: { message: 2000 },
  unit: "codepoints",
  rate: { perSecond: 0.5, burst: 5 },
} satisfies ChannelPreset;

/** https://developers.line.biz/en/reference/messaging-api/#send-push-message */
export const line = {
  name: "line",
  title: "LINE",
  group: "push",
  docs: "line",
  setup: [
    "At developers.line.biz create a Messaging API channel and issue a long-lived access token.",
    "Add its official account as a friend, or to a group.",
    "Create the channel with the token and the user or group id (U…, C… or R…), which its webhooks show.",
  ],
  fields: [
    {
      key: "token",
      title: "Channel access token",
      secret: true,
      pattern: "[\\w+/=.-]{40,1000}",
      example: "eyJhbGciOiJIUzI1NiJ9UnQ0u8hNhPpO1f0b3zV2",
    },
    {
      key: "to",
      title: "User or group id",
      pattern: "[UCR][0-9a-f]{32}",
      hint: "the id begins with U, C or R; it is not the LINE ID that people share",
      example: "U4af4980629abcdef0123456789abcdef",
    },
  ],
  hosts: ["api.line.me"],
  send: {
    url: "https://api.line.me/v2/bot/message/push",
    auth: { bearer: "{{ field.token }}" },
    headers: { "X-Line-Retry-Key": "{{ id | uuid }}" },
    body: { to: "{{ field.to }}", messages: [{ type: "text", text: TEXT }] },
  },
  ok: [
    { status: 200, path: "$.sentMessages[0].id" },
    // A repetition of an accepted message.
    { status: 409, path: "header:x-line-accepted-request-id" },
  ],
  errors: [
    { status: 429, text: "monthly limit", class: "dead", hint: "the account's messages of this month are used up" },
    { status: 429, class: "wait", after: ["header:retry-after", "60s"] },
    { status: 401, class: "refused", hint: "the channel access token is not valid" },
    { status: 403, class: "refused", hint: "the account's plan does not allow push messages" },
    {
      status: 400,
      text: "property, .?'to'|Failed to send messages",
      class: "refused",
      hint: "the recipient does not exist or has blocked the account",
    },
    { status: 400, class: "dead" },
  ],
  cut: { "messages.0.text": 4900 },
  unit: "utf16",
  rate: { perSecond: 5, burst: 20 },
} satisfies ChannelPreset;

/** https://gateway.threema.ch/en/developer/api */
export const threema = {
  name: "threema",
  title: "Threema",
  group: "push",
  // Each message costs.
  rings: true,
  docs: "more-services",
  setup: [
    "At gateway.threema.ch request an ID in basic mode and buy credits.",
    "Copy the ID (*…) and its secret.",
    "Create the channel with them and the recipient: a Threema ID, a phone number or a mail address.",
  ],
  fields: [
    { key: "from", title: "Gateway ID", pattern: "\\*[A-Z0-9]{7}", example: "*PRISM01" },
    { key: "secret", title: "Secret", secret: true, pattern: "\\w{8,64}", example: "abcdefgh12345678" },
    {
      key: "to",
      title: "Threema ID",
      pattern: "[A-Z0-9*]{8}",
      required: false,
      hint: "give one recipient",
      example: "ABCD1234",
    },
    {
      key: "phone",
      title: "Or a phone number without +",
      pattern: "[1-9]\\d{6,14}",
      required: false,
      example: "4930123456",
    },
    {
      key: "email",
      title: "Or a mail address",
      pattern: "[^@\\s]+@[^@\\s]+",
      required: false,
      example: "ada@example.com",
    },
  ],
  hosts: ["msgapi.threema.ch"],
  send: {
    url: "https://msgapi.threema.ch/send_simple",
    type: "form",
    body: {
      from: "{{ field.from }}",
      secret: "{{ field.secret }}",
      "to?": "{{ field.to }}",
      "phone?": "{{ field.phone }}",
      "email?": "{{ field.email }}",
      text: TEXT,
    },
  },
  ok: [{ status: 200, text: "^[0-9a-f]{16}" }],
  errors: [
    { status: 400, class: "refused", hint: "the recipient is not valid, or the ID is not one of the basic mode" },
    { status: 401, class: "refused", hint: "the ID or its secret is not valid" },
    { status: 402, class: "refused", hint: "the account has no credits left" },
    { status: 404, class: "refused", hint: "no Threema ID has this phone number or mail address" },
    { status: 413, class: "shorten" },
  ],
  cut: { text: 3400 },
  unit: "bytes",
  rate: { perSecond: 1, burst: 10 },
} satisfies ChannelPreset;
