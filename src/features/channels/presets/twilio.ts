import type { ChannelPreset } from "../preset.ts";

const ACCOUNT = [
  { key: "account", title: "Account SID", pattern: "AC[0-9a-f]{32}", example: "AC0123456789abcdef0123456789abcdef" },
  {
    key: "key",
    title: "API key SID, in place of the account",
    pattern: "SK[0-9a-f]{32}",
    required: false,
    example: "SK0123456789abcdef0123456789abcdef",
  },
  {
    key: "token",
    title: "Auth token, or the API key's secret",
    secret: true,
    pattern: "\\w{20,64}",
    example: "0123456789abcdef0123456789abcdef",
  },
] as const;

const TO = {
  key: "to",
  title: "Recipient",
  pattern: "\\+[1-9]\\d{6,14}",
  hint: "E.164, such as +4930123456",
  example: "+4930123456",
} as const;

const auth: ChannelPreset["send"]["auth"] = { basic: ["{{ field.key | default:field.account }}", "{{ field.token }}"] };

/** https://www.twilio.com/docs/api/errors */
const errors: NonNullable<ChannelPreset["errors"]> = [
  { path: "$.code", equals: [20_429, 14_107, 30_001], class: "wait", after: ["header:retry-after", "30s"] },
  { status: 429, class: "wait", after: ["header:retry-after", "30s"] },
  {
    path: "$.code",
    equals: [20_003, 20_008, 10_001, 20_005],
    class: "refused",
    hint: "the account, key or token is not valid",
  },
  { status: 401, class: "refused", hint: "the account, key or token is not valid" },
  {
    path: "$.code",
    equals: 21_610,
    class: "refused",
    hint: "the recipient has answered STOP; START allows messages again",
  },
  {
    path: "$.code",
    equals: [21_211, 21_614, 21_217, 13_224],
    class: "refused",
    hint: "the recipient is not a number that can be reached",
  },
  {
    path: "$.code",
    equals: [21_408, 21_215, 13_227],
    class: "refused",
    hint: "switch the recipient's country on in Twilio (Geo permissions)",
  },
  {
    path: "$.code",
    equals: [21_606, 21_212, 21_210, 21_659, 21_660],
    class: "refused",
    hint: "the sender is not a number of this account",
  },
  { path: "$.code", equals: 21_617, class: "shorten" },
  { status: 404, class: "refused", hint: "there is no such account" },
  { path: "$.status", equals: ["failed", "undelivered", "canceled"], class: "dead" },
];

/** https://www.twilio.com/docs/messaging/api/message-resource */
export const twilioSms = {
  name: "twilio-sms",
  title: "SMS (Twilio)",
  group: "sms",
  docs: "twilio",
  setup: [
    "At twilio.com buy a number, or make a messaging service.",
    "Copy the account SID and the auth token, or make an API key.",
    "Create the channel with them, the sender and the recipient.",
  ],
  fields: [
    ...ACCOUNT,
    {
      key: "from",
      title: "Sender",
      pattern: "\\+[1-9]\\d{6,14}|\\d{3,8}|[A-Za-z0-9 ]{1,11}",
      required: false,
      hint: "give a sender or a messaging service",
      example: "+15017122661",
    },
    {
      key: "service",
      title: "Or a messaging service",
      pattern: "MG[0-9a-f]{32}",
      required: false,
      example: "MG0123456789abcdef0123456789abcdef",
    },
    TO,
  ],
  hosts: ["api.twilio.com"],
  send: {
    url: "https://api.twilio.com/2010-04-01/Accounts/{{ field.account }}/Messages.json",
    auth,
    type: "form",
    body: {
      To: "{{ field.to }}",
      "From?": { $if: "!field.service", $then: "{{ field.from }}" },
      "MessagingServiceSid?": "{{ field.service }}",
      Body: "{{ n.title | line | gsm }}{{ n.message | line | gsm | prefix:': ' }}{{ n.ackUrl | prefix:' ' }}",
    },
  },
  ok: [{ status: 201, path: "$.sid" }],
  ref: { sid: "$.sid" },
  errors,
  // Two parts of a long message.
  cut: { Body: 306 },
  unit: "gsm",
  rate: { perSecond: 1, burst: 3 },
} satisfies ChannelPreset;

/** https://www.twilio.com/docs/voice/api/call-resource */
export const twilioVoice = {
  name: "twilio-voice",
  title: "Phone call (Twilio)",
  group: "sms",
  docs: "twilio",
  setup: [
    "At twilio.com buy a number that can make calls.",
    "Copy the account SID and the auth token, or make an API key.",
    "Create the channel with them, the sender, the recipient and the language to speak.",
  ],
  fields: [
    ...ACCOUNT,
    { key: "from", title: "Number of the sender", pattern: "\\+[1-9]\\d{6,14}", example: "+15017122661" },
    TO,
    {
      key: "language",
      title: "Language",
      pattern: "[a-z]{2,3}-[A-Z]{2}",
      required: false,
      default: "en-US",
      example: "de-DE",
    },
  ],
  hosts: ["api.twilio.com"],
  send: {
    url: "https://api.twilio.com/2010-04-01/Accounts/{{ field.account }}/Calls.json",
    auth,
    type: "form",
    body: {
      To: "{{ field.to }}",
      From: "{{ field.from }}",
      Twiml:
        '<Response><Pause length="1"/><Say language="{{ field.language }}" loop="2">' +
        "{{ n.severity }}. {{ n.title | line | html }}. {{ n.message | line | html }}</Say></Response>",
    },
  },
  ok: [{ status: 201, path: "$.sid" }],
  ref: { sid: "$.sid" },
  errors,
  cut: { Twiml: 1500 },
  unit: "codepoints",
  counts: "escaped",
  rate: { perSecond: 1, burst: 1 },
} satisfies ChannelPreset;
