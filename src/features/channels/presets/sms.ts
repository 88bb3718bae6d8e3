import type { ChannelPreset } from "../preset.ts";

const TEXT = "{{ n.title | line | gsm }}{{ n.message | line | gsm | prefix:': ' }}{{ n.ackUrl | prefix:' ' }}";

/** https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms */
export const vonage = {
  name: "vonage",
  title: "SMS (Vonage)",
  group: "sms",
  docs: "vonage",
  setup: [
    "At dashboard.vonage.com copy the API key and secret.",
    "Rent a number, or use a name as the sender where the recipient's country allows it.",
    "Create the channel with them and the recipient.",
  ],
  fields: [
    { key: "key", title: "API key", pattern: "[A-Za-z0-9]{4,40}", example: "abcd1234" },
    { key: "secret", title: "API secret", secret: true, pattern: "\\S{8,64}", example: "ABCDEFGH01234abc" },
    {
      key: "from",
      title: "Sender",
      pattern: "\\+?\\d{3,15}|[A-Za-z0-9 ]{1,11}",
      hint: "a number, or a name of up to 11 letters and digits",
      example: "Prism",
    },
    { key: "to", title: "Recipient, with the country's code", pattern: "\\+?[1-9]\\d{6,14}", example: "4930123456" },
  ],
  hosts: ["rest.nexmo.com"],
  send: {
    url: "https://rest.nexmo.com/sms/json",
    type: "form",
    body: {
      api_key: "{{ field.key }}",
      api_secret: "{{ field.secret }}",
      from: "{{ field.from }}",
      to: "{{ field.to }}",
      type: "unicode",
      text: TEXT,
    },
  },
  // The status is 200 for all answers.
  ok: [{ status: 200, path: "$.messages[0].status", equals: "0" }],
  ref: { id: "$.messages[0].message-id" },
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "5s"] },
    { path: "$.messages[0].status", equals: ["1", "10"], class: "wait", after: ["5s"] },
    { path: "$.messages[0].status", equals: "5", class: "retry" },
    {
      path: "$.messages[0].status",
      equals: ["4", "14"],
      class: "refused",
      hint: "the API key or its secret is not valid",
    },
    {
      path: "$.messages[0].status",
      equals: ["8", "11"],
      class: "refused",
      hint: "Vonage has closed the account for SMS",
    },
    { path: "$.messages[0].status", equals: "9", class: "refused", hint: "the account has no credit left" },
    { path: "$.messages[0].status", equals: "7", class: "refused", hint: "the recipient's number is barred" },
    { path: "$.messages[0].status", equals: "15", class: "refused", hint: "the sender is not allowed in this country" },
    {
      path: "$.messages[0].status",
      equals: "29",
      class: "refused",
      hint: "the recipient is not on the account's list of test numbers",
    },
    { path: "$.messages[0].status", equals: "12", class: "shorten" },
    { status: 401, class: "refused", hint: "the API key or its secret is not valid" },
  ],
  cut: { text: 306 },
  unit: "gsm",
  rate: { perSecond: 1, burst: 3 },
} satisfies ChannelPreset;

/** Gateways with a form of the usual names; others by the channel's own `template.request`. */
export const sms = {
  name: "sms",
  title: "SMS (any gateway)",
  group: "sms",
  docs: "sms",
  setup: [
    "Find the URL of the gateway that sends a message, and the token or password that it asks for.",
    "Create the channel; without a template the request is a form with to, from and text.",
    "For other names or JSON set template.request, and try it with a dry run.",
  ],
  fields: [
    { key: "url", title: "URL", type: "url", secret: true, example: "https://sms.example.com/send" },
    { key: "to", title: "Recipient", pattern: "\\+?[0-9]{4,20}", example: "+4930123456" },
    { key: "from", title: "Sender", pattern: ".{1,20}", required: false, example: "Prism" },
    { key: "token", title: "Token, sent as Authorization: Bearer", secret: true, required: false, example: "secret" },
    { key: "username", title: "User name", required: false, example: "prism" },
    { key: "password", title: "Password", secret: true, required: false, example: "secret" },
  ],
  custom: true,
  send: {
    url: "{{ field.url }}",
    headers: { "Authorization?": "{{ field.token | prefix:'Bearer ' }}" },
    auth: { basic: ["{{ field.username }}", "{{ field.password }}"] },
    type: "form",
    body: { to: "{{ field.to }}", "from?": "{{ field.from }}", text: TEXT },
  },
  ok: [{ status: "2xx" }],
  // Many gateways answer 200 to everything.
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "60s"] },
    { status: [401, 403], class: "refused", hint: "the gateway does not accept the token or the password" },
    { status: "2xx", text: "^\\s*(err|error|fail|failed|nok|-\\d)\\b", class: "dead" },
    { status: "2xx", path: "$.error", equals: [0, "0"], class: "ok" },
    { status: "2xx", path: "$.error", class: "dead" },
    { status: "2xx", path: "$.errors", class: "dead" },
    { status: "2xx", path: "$.success", equals: [0, "false", "0"], class: "dead" },
    { status: "2xx", path: "$.status", equals: ["error", "ERROR", "failed", "FAILED", "fail"], class: "dead" },
    { status: "2xx", path: "$.count", equals: 0, class: "dead" },
  ],
  cut: { text: 306 },
  unit: "gsm",
  rate: { perSecond: 1, burst: 5 },
} satisfies ChannelPreset;
