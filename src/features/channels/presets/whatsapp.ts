import type { ChannelPreset } from "../preset.ts";

const TEXT =
  "{{ n.emoji }} {{ n.title | line }}{{ n.message | prefix:'\n' }}{{ n.details | prefix:'\n' }}" +
  "{{ n.url | prefix:'\n' }}{{ n.ackUrl | prefix:'\nAcknowledge: ' }}";

/** Parameters hold no line breaks, tabs or runs of spaces. */
const PARAMETER = "{{ n.emoji }} {{ n.title | line }}{{ n.message | line | prefix:': ' }}{{ n.ackUrl | prefix:' ' }}";

/** https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates */
export const whatsapp = {
  name: "whatsapp",
  title: "WhatsApp (Cloud API)",
  group: "push",
  // Each message costs.
  rings: true,
  docs: "whatsapp",
  setup: [
    "In Meta's business manager create an app with WhatsApp, and a permanent token of a system user.",
    "Have a template approved whose body has one parameter: {{1}}.",
    "Create the channel with the token, the phone number id, the recipient and the template's name.",
  ],
  fields: [
    {
      key: "token",
      title: "Access token",
      secret: true,
      pattern: "[A-Za-z0-9]{20,500}",
      example: "EAAGm0PX4ZCpsBAKZCZBpsZC",
    },
    { key: "phone", title: "Phone number id", pattern: "\\d{5,30}", example: "106540352242922" },
    { key: "to", title: "Recipient", pattern: "\\+?[1-9]\\d{6,14}", example: "4930123456" },
    {
      key: "template",
      title: "Template",
      pattern: "[a-z0-9_]{1,512}",
      required: false,
      hint: "without a template, messages arrive only within 24 hours of the recipient's last message",
      example: "alert",
    },
    {
      key: "language",
      title: "Language of the template",
      pattern: "[a-z]{2,3}(_[A-Z]{2})?",
      required: false,
      default: "en",
      example: "en",
    },
  ],
  hosts: ["graph.facebook.com"],
  send: {
    url: "https://graph.facebook.com/v21.0/{{ field.phone }}/messages",
    auth: { bearer: "{{ field.token }}" },
    body: {
      $if: "field.template",
      $then: {
        messaging_product: "whatsapp",
        to: "{{ field.to }}",
        type: "template",
        template: {
          name: "{{ field.template }}",
          language: { code: "{{ field.language }}" },
          components: [
            {
              type: "body",
              parameters: [
                {
                  type: "text",
                  text: PARAMETER,
                },
              ],
            },
          ],
        },
      },
      $else: {
        messaging_product: "whatsapp",
        to: "{{ field.to }}",
        type: "text",
        text: { body: TEXT, preview_url: false },
      },
    },
  },
  ok: [{ status: 200, path: "$.messages[0].id" }],
  ref: { id: "$.messages[0].id" },
  errors: [
    {
      path: "$.error.code",
      equals: [4, 80007, 130429, 131048, 131056],
      class: "wait",
      after: ["header:retry-after", "60s"],
    },
    { path: "$.error.code", equals: [1, 2, 131000, 131016, 133004], class: "retry" },
    { path: "$.error.code", equals: [0, 190], class: "refused", hint: "the access token has expired or was withdrawn" },
    {
      path: "$.error.code",
      equals: [3, 10, 200, 368, 131031, 131042, 133010],
      class: "refused",
      hint: "the account may not send: check its permissions, payment and status in Meta's business manager",
    },
    {
      path: "$.error.code",
      equals: [132001, 132015, 132016],
      class: "refused",
      hint: "the template does not exist in this language, or it is paused",
    },
    {
      path: "$.error.code",
      equals: 131030,
      class: "refused",
      hint: "the recipient is not on the app's list of test numbers",
    },
    {
      path: "$.error.code",
      equals: 131047,
      class: "dead",
      hint: "more than 24 hours have passed since the recipient wrote: use an approved template",
    },
    { path: "$.error.code", class: "dead" },
    { status: 401, class: "refused" },
  ],
  cut: { "template.components.0.parameters.0.text": 1000, "text.body": 4000 },
  unit: "codepoints",
  rate: { perSecond: 1, burst: 5 },
} satisfies ChannelPreset;
