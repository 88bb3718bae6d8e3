import type { ChannelPreset } from "../preset.ts";

/** https://developers.google.com/workspace/chat/quickstart/webhooks */
export const googleChat = {
  name: "google-chat",
  title: "Google Chat",
  group: "chat",
  docs: "google-chat",
  setup: [
    "In Google Chat open the space's menu, Apps & integrations, Webhooks, and add one.",
    "Copy its URL, with the key and the token in it.",
    "Create the channel with that URL. All messages about one alert are in one thread.",
  ],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https://chat\\.googleapis\\.com/v1/spaces/[\\w-]+/messages\\?.*key=[^&]+&token=[^&]+.*",
      hint: "copy the whole URL, with key= and token=",
      example: "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=abc&token=def",
    },
  ],
  hosts: ["chat.googleapis.com"],
  key: "{{ n.key | hash:32 }}",
  send: {
    url: "{{ field.url }}",
    // A repetition with the same requestId gives the first message.
    query: { messageReplyOption: "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD", requestId: "{{ id | uuid }}" },
    body: {
      fallbackText: "{{ n.emoji }} {{ n.title | line }}",
      thread: { threadKey: "{{ key }}" },
      cardsV2: [
        {
          cardId: "prism",
          card: {
            header: {
              title: "{{ n.emoji }} {{ n.title | line }}",
              subtitle: "{{ n.severity }} · {{ n.statusText }} · {{ n.atText }}{{ n.project | prefix:' · ' }}",
            },
            sections: [
              {
                widgets: [
                  { textParagraph: { text: "{{ n.message | default:n.title | html }}" } },
                  {
                    $each: "n.facts",
                    $do: {
                      decoratedText: {
                        topLabel: "{{ item.title | line | html }}",
                        text: "{{ item.value | html }}",
                        wrapText: true,
                      },
                    },
                  },
                  {
                    $if: "n.url",
                    buttonList: {
                      buttons: [
                        { text: "Open", onClick: { openLink: { url: "{{ n.url }}" } } },
                        { $if: "n.ackUrl", text: "Acknowledge", onClick: { openLink: { url: "{{ n.ackUrl }}" } } },
                      ],
                    },
                  },
                ],
              },
            ],
          },
        },
      ],
    },
  },
  ok: [{ status: 200, path: "$.name" }],
  ref: { name: "$.name" },
  errors: [
    { status: 429, class: "wait", after: ["header:retry-after", "60s"] },
    { path: "$.error.status", equals: "RESOURCE_EXHAUSTED", class: "wait", after: ["60s"] },
    {
      status: [401, 403, 404],
      class: "refused",
      hint: "the webhook or the space was deleted, or the administrator does not allow webhooks",
    },
    { path: "$.error.status", equals: "UNAUTHENTICATED", class: "refused" },
    { status: 400, text: "too (large|long)|exceed", class: "shorten" },
    { status: 400, class: "dead" },
  ],
  cut: {
    fallbackText: 400,
    "cardsV2.0.card.header.title": 200,
    "cardsV2.0.card.header.subtitle": 200,
    "cardsV2.0.card.sections.0.widgets.0.textParagraph.text": 6000,
    "cardsV2.0.card.sections.0.widgets.*.decoratedText.topLabel": 80,
    "cardsV2.0.card.sections.0.widgets.*.decoratedText.text": 500,
  },
  unit: "bytes",
  counts: "escaped",
  maxBytes: 31_000,
  rate: { perSecond: 1, burst: 1 },
  mentions: "angle",
} satisfies ChannelPreset;
