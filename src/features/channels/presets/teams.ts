import type { ChannelPreset } from "../preset.ts";

const COLOR = {
  $map: "n.statusText",
  resolved: "Good",
  "no longer reported": "Default",
  acknowledged: "Default",
  $else: { $map: "n.severity", critical: "Attention", error: "Attention", warning: "Warning", $else: "Accent" },
} as const;

/** https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook */
export const teams = {
  name: "teams",
  title: "Microsoft Teams",
  group: "chat",
  docs: "teams",
  setup: [
    "In Teams open the channel's menu, Workflows, “Send webhook alerts to a channel” (any sender may call it).",
    "Copy the workflow's URL; it is a secret.",
    "Create the channel with that URL. The workflow belongs to its author: add a second owner to it.",
  ],
  fields: [
    {
      key: "url",
      title: "Workflow URL",
      type: "url",
      secret: true,
      pattern:
        "https://[\\w.-]+\\.(logic\\.azure\\.(com|us|cn)|api\\.powerplatform\\.(com|us|cn))(:443)?/.*workflows/.+",
      hint:
        "The URL of a workflow, on logic.azure.com or api.powerplatform.com. URLs of *.webhook.office.com belong to " +
        "Office 365 connectors, which Microsoft has switched off: make a workflow in Teams and use its URL",
      example: "https://prod-01.westeurope.logic.azure.com:443/workflows/0123/triggers/manual/paths/invoke?sig=abc",
    },
  ],
  hosts: [
    "*.logic.azure.com",
    "*.logic.azure.us",
    "*.logic.azure.cn",
    "*.api.powerplatform.com",
    "*.api.powerplatform.us",
    "*.api.powerplatform.cn",
  ],
  send: {
    url: "{{ field.url }}",
    body: {
      type: "message",
      summary: "{{ n.title | line }}",
      attachments: [
        {
          contentType: "application/vnd.microsoft.card.adaptive",
          contentUrl: null,
          content: {
            type: "AdaptiveCard",
            $$schema: "http://adaptivecards.io/schemas/adaptive-card.json",
            version: "1.4",
            msteams: { width: "Full" },
            body: [
              {
                type: "TextBlock",
                text: "{{ n.emoji }} {{ n.title | line | nolinks }}",
                weight: "Bolder",
                size: "Medium",
                wrap: true,
                color: COLOR,
              },
              { $if: "n.message", type: "TextBlock", text: "{{ n.message | nolinks | br:'\n\n' }}", wrap: true },
              {
                $if: "n.facts",
                type: "FactSet",
                facts: [
                  {
                    $each: "n.facts",
                    $do: { title: "{{ item.title | line | nolinks }}", value: "{{ item.value | nolinks }}" },
                  },
                ],
              },
              {
                type: "TextBlock",
                text: "{{ n.severity }} · {{ n.statusText }} · {{ n.atText }}{{ n.project | nolinks | prefix:' · ' }}",
                isSubtle: true,
                size: "Small",
                wrap: true,
              },
            ],
            actions: [
              { $if: "n.url", type: "Action.OpenUrl", title: "Open", url: "{{ n.url }}" },
              { $if: "n.ackUrl", type: "Action.OpenUrl", title: "Acknowledge", url: "{{ n.ackUrl }}" },
            ],
          },
        },
      ],
    },
  },
  // 202: the flow runs later, and a failure in it is seen in its run history only.
  ok: [{ status: [200, 202] }],
  errors: [
    // A connector that is still there passes on the error of Teams in a success.
    { status: 200, text: "http error 429", class: "wait", after: ["header:retry-after", "60s"] },
    { status: 200, text: "http error 413", class: "shorten" },
    {
      status: 200,
      text: "webhook message delivery failed|connector",
      class: "refused",
      hint: "this is a retired connector",
    },
    { status: 429, class: "wait", after: ["header:retry-after", "60s"] },
    {
      status: 404,
      path: "$.error.code",
      equals: "WorkflowNotFound",
      class: "gone",
      hint: "the workflow was deleted: make a new one and use its URL",
    },
    {
      status: [400, 404],
      path: "$.error.code",
      equals: ["WorkflowTriggerIsNotEnabled", "WorkflowDisabled", "WorkflowTriggerNotFound"],
      class: "refused",
      hint: "the workflow was deleted or is turned off: turn it on, or make a new one and use its URL",
    },
    { status: [401, 403], class: "refused", hint: "the URL is not complete, or the workflow's owner has left" },
    { status: 404, class: "refused", hint: "the workflow no longer exists" },
    { status: 413, class: "shorten" },
  ],
  cut: {
    summary: 250,
    "attachments.0.content.body.0.text": 500,
    "attachments.0.content.body.1.text": 8000,
    "attachments.0.content.body.*.text": 8000,
    "attachments.0.content.body.*.facts.*.title": 80,
    "attachments.0.content.body.*.facts.*.value": 200,
  },
  unit: "utf16",
  maxBytes: 27_000,
  rate: { perSecond: 3, burst: 4 },
} satisfies ChannelPreset;
