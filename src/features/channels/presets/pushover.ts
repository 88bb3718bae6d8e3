import type { ChannelPreset } from "../preset.ts";

const EMERGENCY =
  "field.emergency == 'on' && n.severity == 'critical' && n.status != 'resolved' && n.status != 'acknowledged'";

const cancel = {
  url: "https://api.pushover.net/1/receipts/cancel_by_tag/{{ key }}.json",
  body: { token: "{{ field.token }}" },
} as const;

/** https://pushover.net/api, https://pushover.net/api/receipts */
export const pushover = {
  name: "pushover",
  title: "Pushover",
  group: "push",
  docs: "pushover",
  setup: [
    "At pushover.net create an application and copy its API token.",
    "Copy the user key of the recipient, or the key of a group.",
    "Create the channel with both. Critical alerts repeat every minute until someone acknowledges them.",
  ],
  fields: [
    {
      key: "token",
      title: "API token of the application",
      secret: true,
      pattern: "[A-Za-z0-9]{30}",
      example: "azGDORePK8gMaC0QOYAMyEEuzJnyUi",
    },
    {
      key: "user",
      title: "User or group key",
      secret: true,
      pattern: "[A-Za-z0-9]{30}",
      example: "uQiRzpo4DXghDmr9QzzfQu27cmVRsG",
    },
    { key: "device", title: "Device", pattern: "[\\w,-]{1,100}", required: false, example: "phone" },
    { key: "sound", title: "Sound", pattern: "[\\w-]{1,40}", required: false, example: "siren" },
    {
      key: "emergency",
      title: "Critical alerts repeat until they are acknowledged",
      type: "choice",
      choices: ["on", "off"],
      default: "on",
      required: false,
      example: "on",
    },
  ],
  hosts: ["api.pushover.net"],
  key: "{{ n.key | hash:32 }}",
  send: {
    url: "https://api.pushover.net/1/messages.json",
    body: {
      token: "{{ field.token }}",
      user: "{{ field.user }}",
      "device?": "{{ field.device }}",
      "sound?": "{{ field.sound }}",
      title: "{{ n.emoji }} {{ n.title | line }}",
      message: "{{ n.message | default:n.title }}{{ n.details | prefix:'\n' }}",
      "url?": { $if: "n.ackUrl", $then: "{{ n.ackUrl }}", $else: "{{ n.url }}" },
      "url_title?": { $if: "n.ackUrl", $then: "Acknowledge", $else: { $if: "n.url", $then: "Open", $else: "" } },
      priority: {
        $if: EMERGENCY,
        $then: 2,
        $else: {
          $map: "n.status",
          resolved: 0,
          acknowledged: -1,
          $else: { $map: "n.severity", critical: 1, error: 1, warning: 0, $else: -1 },
        },
      },
      retry: { $if: EMERGENCY, $then: 60 },
      expire: { $if: EMERGENCY, $then: 10_800 },
      "callback?": {
        $if: `n.ackToken && ${EMERGENCY}`,
        $then: "{{ n.hookUrl }}/pushover?token={{ n.ackToken }}",
        $else: "",
      },
      tags: { $if: EMERGENCY, $then: "{{ key }}" },
    },
  },
  acknowledge: cancel,
  resolve: cancel,
  ok: [{ status: 200, path: "$.status", equals: 1 }],
  ref: { receipt: "$.receipt" },
  errors: [
    // No emergency was open, so the recipient gets a message.
    { status: 200, path: "$.canceled", equals: 0, for: ["resolve"], class: "resend" },
    {
      status: 429,
      class: "wait",
      after: ["header:x-limit-app-reset epoch", "header:retry-after", "3600s"],
      hint: "the application's messages of this month are used up",
    },
    {
      status: "4xx",
      text: "application token is invalid|token is invalid",
      class: "refused",
      hint: "the API token is not valid",
    },
    {
      status: "4xx",
      text: "user identifier is not a valid|user key is invalid|no active devices|device name is not valid",
      class: "refused",
      hint: "the user key or the device is not valid, or the user has no active device",
    },
    // Repeating a refused request gets a sender blocked.
    { status: "4xx", class: "dead" },
    { path: "$.status", equals: 0, class: "dead" },
  ],
  cut: { title: 250, message: 1024 },
  unit: "codepoints",
  rate: { perSecond: 0.5, burst: 10 },
} satisfies ChannelPreset;
