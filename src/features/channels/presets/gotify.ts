import type { ChannelPreset } from "../preset.ts";

/** https://gotify.net/docs/pushmsg */
export const gotify = {
  name: "gotify",
  title: "Gotify",
  group: "push",
  docs: "gotify",
  setup: [
    "In Gotify open Apps, create an application and copy its token.",
    "Log in to the same server with the Android app.",
    "Create the channel with the server's URL and the token.",
  ],
  fields: [
    { key: "url", title: "Server", type: "url", example: "https://gotify.example.com" },
    {
      key: "token",
      title: "Application token",
      secret: true,
      pattern: "[\\w.-]{10,200}",
      hint: "the token of an application (it begins with A), not of a client",
      example: "AbCdEf123456789",
    },
  ],
  send: {
    url: "{{ field.url }}/message",
    // In a query the token would be written to the logs of proxies.
    headers: { "X-Gotify-Key": "{{ field.token }}" },
    body: {
      title: "{{ n.emoji }} {{ n.title | line }}",
      message:
        "{{ n.message | default:n.title | md | br:'  \n' }}{{ n.details | md | br:'  \n' | prefix:'  \n' }}" +
        "{{ n.url | prefix:'\n\n[Open](' | suffix:')' }}" +
        "{{ n.ackUrl | prefix:' [Acknowledge](' | suffix:')' }}",
      priority: {
        $map: "n.status",
        resolved: 2,
        acknowledged: 2,
        $else: { $map: "n.severity", critical: 10, error: 8, warning: 5, $else: 3 },
      },
      extras: {
        "client::display": { contentType: "text/markdown" },
        "client::notification": { $if: "n.url", click: { url: "{{ n.url }}" } },
      },
    },
  },
  ok: [{ status: 200, path: "$.id" }],
  ref: { id: "$.id" },
  errors: [
    { status: [401, 403], class: "refused", hint: "the token is not one of an application of this server" },
    { status: 404, class: "refused", hint: "there is no Gotify at this URL" },
  ],
  cut: { title: 250, message: 8000 },
  unit: "codepoints",
  rate: { perSecond: 5, burst: 20 },
} satisfies ChannelPreset;
