import type { ChannelPreset } from "../preset.ts";

/** https://github.com/caronc/apprise-api */
export const apprise = {
  name: "apprise",
  title: "Apprise API",
  group: "relay",
  docs: "apprise",
  setup: [
    "Run caronc/apprise and save the URLs of your services under a key at http://…:8000/cfg/<key>.",
    "Optionally give the URLs tags.",
    "Create the channel with the server's URL, the key and, if only some of the URLs are meant, a tag.",
  ],
  fields: [
    { key: "url", title: "Server", type: "url", example: "http://apprise:8000" },
    { key: "key", title: "Configuration key", secret: true, pattern: "[\\w-]{1,128}", example: "prism" },
    { key: "tag", title: "Tag", pattern: "[\\w ,-]{1,200}", required: false, example: "on-call" },
    { key: "username", title: "User name, if the server asks for one", required: false, example: "prism" },
    { key: "password", title: "Password", secret: true, required: false, example: "secret" },
  ],
  send: {
    url: "{{ field.url }}/notify/{{ field.key }}",
    auth: { basic: ["{{ field.username }}", "{{ field.password }}"] },
    headers: { Accept: "application/json" },
    body: {
      title: "{{ n.emoji }} {{ n.title | line }}",
      body:
        "{{ n.message | default:n.title }}{{ n.details | prefix:'\n' }}" +
        "{{ n.url | prefix:'\n' }}{{ n.ackUrl | prefix:'\nAcknowledge: ' }}",
      type: {
        $map: "n.statusText",
        resolved: "success",
        "no longer reported": "info",
        $else: { $map: "n.severity", critical: "failure", error: "failure", warning: "warning", $else: "info" },
      },
      format: "text",
      "tag?": "{{ field.tag }}",
    },
  },
  ok: [{ status: 200 }],
  errors: [
    { status: 200, path: "$.error", class: "dead" },
    { status: 204, class: "refused", hint: "the server has no configuration under this key" },
    {
      status: 424,
      class: "dead",
      hint: "one or more of the services failed; it is not sent again, as others have it already: see Apprise's log",
    },
    { status: [401, 403], class: "refused", hint: "the server does not allow the request" },
    { status: 404, class: "refused", hint: "there is no Apprise API at this URL" },
    { status: [406, 421], class: "dead", hint: "the server calls itself, or does not take requests at this path" },
    { status: 431, class: "shorten" },
  ],
  cut: { title: 250, body: 10_000 },
  unit: "codepoints",
  rate: { perSecond: 2, burst: 10 },
} satisfies ChannelPreset;
