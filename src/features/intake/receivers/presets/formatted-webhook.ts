import type { ReceiverPreset } from "../preset.ts";

/** The members that Grafana OnCall's formatted webhook reads; a body without them is an alert of its own, as in OnCall. */
export const formattedWebhook = {
  name: "formatted-webhook",
  title: "OnCall's formatted webhook",
  group: "formats",
  docs: "formatted-webhook",
  secret: "optional",
  setup: [
    "Send JSON with title by POST to {url}.",
    "Send the same alert_uid in each state of one alert, and state ok when it ends.",
    "A program of OnCall keeps its path, /integrations/v1/formatted_webhook/<token>/, at this server.",
  ],
  methods: ["POST"],
  verify: [{ scheme: "credential" }],
  hook: "described",
  mapping: {
    output: "alerts",
    title: "= firstText(body.title, body.message, parsed.title, firstLine(text))",
    message: "= firstText(body.message, body == null ? text : parsed.message)",
    key: "= firstText(string(body.alert_uid), body.title, body.message, parsed.digest)",
    status: "= lower(string(body.state)) == 'ok' ? 'resolved' : 'firing'",
    link: "= firstText(body.link_to_upstream_details, parsed.link)",
    annotations: { imageURL: "= body.image_url" },
  },
  sample: {
    body: {
      alert_uid: "08d6891a-835c-e661-39fa-96b6a9e26552",
      title: "The shop is down",
      state: "alerting",
      message: "Nothing answers on port 443",
      image_url: "https://graphs.example/shop.png",
      link_to_upstream_details: "https://graphs.example/shop",
    },
  },
} as const satisfies ReceiverPreset;
