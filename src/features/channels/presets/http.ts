import type { ChannelPreset } from "../preset.ts";

/** Any service that takes an HTTP request. */
export const http = {
  name: "http",
  title: "HTTP request",
  group: "generic",
  docs: "http",
  setup: [
    "Find the URL of the service, and the token or password that it asks for.",
    "Create the channel with them; without a template the request is a JSON object with the message.",
    "Set template.request to the method, headers and body that the service expects, and try it with a dry run.",
  ],
  fields: [
    { key: "url", title: "URL", type: "url", secret: true, example: "https://example.com/notify" },
    { key: "token", title: "Token, sent as Authorization: Bearer", secret: true, required: false, example: "secret" },
    { key: "username", title: "User name", required: false, example: "prism" },
    { key: "password", title: "Password", secret: true, required: false, example: "secret" },
    { key: "secret", title: "Another secret for the template", secret: true, required: false, example: "secret" },
  ],
  custom: true,
  send: {
    url: "{{ field.url }}",
    headers: { "Authorization?": "{{ field.token | prefix:'Bearer ' }}", "Idempotency-Key": "{{ id }}" },
    auth: { basic: ["{{ field.username }}", "{{ field.password }}"] },
    body: {
      id: "{{ id }}",
      title: "{{ n.title }}",
      message: "{{ n.message }}",
      text: "{{ n.text }}",
      severity: "{{ n.severity }}",
      status: "{{ n.status }}",
      priority: { $value: "n.priority" },
      key: "{{ n.key }}",
      url: "{{ n.url }}",
      labels: { $value: "n.labels" },
      facts: { $value: "n.facts" },
      project: "{{ n.project }}",
      at: "{{ n.at }}",
    },
  },
  ok: [{ status: "2xx" }],
  errors: [{ status: [401, 403], class: "dead", hint: "the URL asks for other credentials" }],
  maxBytes: 262_144,
  rate: { perSecond: 5, burst: 50 },
  recorded: [
    { status: 204, class: "ok" },
    { status: 429, headers: { "retry-after": "7" }, class: "wait", afterMs: 7000 },
    { status: 503, headers: { "retry-after": "7" }, class: "wait", afterMs: 7000 },
    { status: 403, class: "dead" },
    { status: 410, class: "gone" },
    { status: 502, class: "retry" },
  ],
} satisfies ChannelPreset;
