import type { ChannelPreset } from "../preset.ts";

/** https://docs.ntfy.sh/publish/#publish-as-json */
export const ntfy = {
  name: "ntfy",
  title: "ntfy",
  group: "push",
  docs: "ntfy",
  setup: [
    "Choose a topic on ntfy.sh or your own server; the name of a public topic is its password.",
    "Subscribe to it in the app.",
    "Create the channel with the server's URL, the topic and, if the server asks for it, a token.",
  ],
  fields: [
    {
      key: "url",
      title: "Server",
      type: "url",
      default: "https://ntfy.sh",
      required: false,
      example: "https://ntfy.sh",
    },
    { key: "topic", title: "Topic", pattern: "[-_A-Za-z0-9]{1,64}", secret: true, example: "prism-alerts-4kq" },
    {
      key: "token",
      title: "Access token",
      pattern: "tk_[A-Za-z0-9]+|prt_[A-Za-z0-9_-]+",
      hint: "tokens of ntfy begin with tk_, service tokens of Prism, whose ntfy API may be the server, with prt_",
      secret: true,
      required: false,
      example: "tk_abcdefghijklmnopqrstuvwxyz012",
    },
  ],
  send: {
    method: "POST",
    url: "{{ field.url }}/",
    headers: { "Authorization?": "{{ field.token | prefix:'Bearer ' }}" },
    body: {
      topic: "{{ field.topic }}",
      title: "{{ n.title }}",
      message: "{{ n.message | default:n.title }}",
      // A drill rings as a page does.
      priority: {
        $if: "n.confirmUrl",
        $then: 5,
        $else: {
          $map: "n.status",
          resolved: 3,
          acknowledged: 3,
          $else: { $map: "n.severity", critical: 5, error: 4, warning: 3, $else: 3 },
        },
      },
      tags: [
        {
          $map: "n.statusText",
          resolved: "white_check_mark",
          "no longer reported": "grey_question",
          acknowledged: "eyes",
          $else: {
            $map: "n.severity",
            critical: "rotating_light",
            error: "rotating_light",
            warning: "warning",
            $else: "information_source",
          },
        },
      ],
      "click?": "{{ n.url }}",
      sequence_id: "{{ key | hash:32 }}",
      actions: [
        { $if: "n.ackUrl", action: "view", label: "Acknowledge", url: "{{ n.ackUrl }}" },
        { $if: "n.confirmUrl", action: "view", label: "Confirm", url: "{{ n.confirmUrl }}" },
      ],
    },
  },
  ok: [{ status: 200, path: "$.id" }],
  ref: { id: "$.id" },
  errors: [
    { status: 429, path: "$.code", equals: 42908, class: "wait", after: ["3600s"], hint: "the daily quota is used up" },
    { status: 429, class: "wait", after: ["header:retry-after", "10s"] },
    { status: 507, class: "retry" },
    { status: [401, 403], class: "refused", hint: "the topic needs a token that may publish to it" },
    { status: 413, class: "shorten" },
  ],
  cut: { title: 250, message: 4000 },
  unit: "bytes",
  maxBytes: 8192,
  rate: { perSecond: 1, burst: 20 },
} satisfies ChannelPreset;
