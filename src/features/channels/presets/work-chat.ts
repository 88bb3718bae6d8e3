import type { ChannelPreset } from "../preset.ts";

/** A bot that asks for a keyword can have “Prism”. */
const FOOTER = "Prism · {{ n.severity }} · {{ n.statusText }} · {{ n.atText }}{{ n.project | prefix:' · ' }}";

/** https://open.larksuite.com/document/client-docs/bot-v3/add-custom-bot */
export const lark = {
  name: "lark",
  title: "Lark, Feishu",
  group: "chat",
  docs: "more-services",
  setup: [
    "In the group open Settings, Bots, and add a custom bot.",
    "Copy its webhook URL; if signature verification is on, also the secret.",
    "Create the channel with them.",
  ],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https://open\\.(larksuite\\.com|feishu\\.cn)/open-apis/bot/v2/hook/[\\w-]+",
      hint: "copy the whole URL, which holds /open-apis/bot/v2/hook/",
      example: "https://open.larksuite.com/open-apis/bot/v2/hook/0123-4567",
    },
    {
      key: "secret",
      title: "Secret of the signature",
      secret: true,
      pattern: "\\w{10,64}",
      required: false,
      example: "abcdefghijklmnopqrstuv",
    },
  ],
  hosts: ["open.larksuite.com", "open.feishu.cn"],
  sign: { key: "{{ s }}\n{{ field.secret }}", text: "" },
  send: {
    url: "{{ field.url }}",
    body: {
      timestamp: { $if: "field.secret", $then: "{{ s }}" },
      sign: { $if: "field.secret", $then: "{{ sign }}" },
      msg_type: "interactive",
      card: {
        config: { wide_screen_mode: true },
        header: {
          title: { tag: "plain_text", content: "{{ n.emoji }} {{ n.title | line }}" },
          template: {
            $map: "n.statusText",
            resolved: "green",
            "no longer reported": "grey",
            acknowledged: "grey",
            $else: { $map: "n.severity", critical: "red", error: "red", warning: "orange", $else: "blue" },
          },
        },
        elements: [
          { $if: "n.message", tag: "div", text: { tag: "plain_text", content: "{{ n.message }}" } },
          {
            $if: "n.facts",
            tag: "div",
            fields: [
              {
                $each: "n.facts",
                $do: {
                  is_short: true,
                  text: { tag: "plain_text", content: "{{ item.title | line }}: {{ item.value }}" },
                },
              },
            ],
          },
          { tag: "note", elements: [{ tag: "plain_text", content: FOOTER }] },
          {
            $if: "n.url",
            tag: "action",
            actions: [
              { tag: "button", text: { tag: "plain_text", content: "Open" }, type: "default", url: "{{ n.url }}" },
              {
                $if: "n.ackUrl",
                tag: "button",
                text: { tag: "plain_text", content: "Acknowledge" },
                type: "primary",
                url: "{{ n.ackUrl }}",
              },
            ],
          },
        ],
      },
    },
  },
  // The status is 200 for all answers.
  ok: [
    { status: 200, path: "$.code", equals: 0 },
    { status: 200, path: "$.StatusMessage", equals: "success" },
  ],
  errors: [
    { text: "too many request|frequency limit", class: "wait", after: ["header:x-ogw-ratelimit-reset", "60s"] },
    { path: "$.code", equals: [11_232, 99_991_400], class: "wait", after: ["header:x-ogw-ratelimit-reset", "60s"] },
    { path: "$.code", equals: 19_001, class: "refused", hint: "the webhook URL is not valid: the bot was removed" },
    { path: "$.code", equals: 19_007, class: "refused", hint: "the bot is not enabled" },
    {
      path: "$.code",
      equals: 19_021,
      class: "refused",
      hint: "the secret is not the bot's, or this computer's clock is wrong",
    },
    {
      path: "$.code",
      equals: 19_022,
      class: "refused",
      hint: "the bot's list of IP addresses does not hold this server",
    },
    {
      path: "$.code",
      equals: 19_024,
      class: "refused",
      hint: "the bot asks for a keyword: add Prism to its keywords",
    },
    { text: "too (large|long)|exceed.*size", class: "shorten" },
    { path: "$.code", equals: 0, class: "ok" },
    { path: "$.code", class: "dead" },
  ],
  cut: {
    "card.header.title.content": 200,
    "card.elements.0.text.content": 3000,
    "card.elements.*.text.content": 3000,
    "card.elements.*.fields.*.text.content": 300,
    "card.elements.*.elements.0.content": 250,
  },
  unit: "codepoints",
  maxBytes: 19_000,
  rate: { perSecond: 1.5, burst: 5 },
  mentions: "angle",
} satisfies ChannelPreset;

/** https://open.dingtalk.com/document/robots/custom-robot-access */
export const dingtalk = {
  name: "dingtalk",
  title: "DingTalk",
  group: "chat",
  docs: "more-services",
  setup: [
    "In the group open Group Settings, Group Assistant, and add a custom robot.",
    "As its security setting choose “Additional Signature” and copy the secret (SEC…).",
    "Create the channel with the webhook URL and the secret.",
  ],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https://oapi\\.dingtalk\\.(com|io)/robot/send\\?access_token=\\w+",
      hint: "copy the whole URL, with access_token=",
      example: "https://oapi.dingtalk.com/robot/send?access_token=0123abcd",
    },
    {
      key: "secret",
      title: "Secret",
      secret: true,
      pattern: "SEC\\w{10,128}",
      required: false,
      hint: "the secret of the additional signature; without it, the robot needs the keyword Prism",
      example: "SEC0123456789abcdef",
    },
  ],
  hosts: ["oapi.dingtalk.com", "oapi.dingtalk.io"],
  sign: { key: "{{ field.secret }}", text: "{{ ms }}\n{{ field.secret }}", when: "field.secret" },
  send: {
    url: "{{ field.url }}",
    // Without a secret the robot does not read the timestamp.
    query: { timestamp: "{{ ms }}", "sign?": "{{ sign }}" },
    body: {
      msgtype: "actionCard",
      actionCard: {
        title: "{{ n.title | line }}",
        text:
          "### {{ n.emoji }} {{ n.title | line | nolinks }}\n\n{{ n.message | nolinks | br:'  \n' | suffix:'\n\n' }}" +
          "{{ n.details | nolinks | br:'  \n' | suffix:'\n\n' }}" +
          "Prism · {{ n.severity }} · {{ n.statusText }} · {{ n.atText }}",
        btnOrientation: "1",
        btns: [
          { $if: "n.url", title: "Open", actionURL: "{{ n.url }}" },
          { $if: "n.ackUrl", title: "Acknowledge", actionURL: "{{ n.ackUrl }}" },
        ],
      },
    },
  },
  ok: [{ status: 200, path: "$.errcode", equals: 0 }],
  errors: [
    { path: "$.errcode", equals: [130_101, 130_102, 90_018], class: "wait", after: ["60s"] },
    { path: "$.errcode", equals: -1, class: "retry" },
    {
      path: "$.errcode",
      equals: [300_001, 300_005, 400_101, 400_102],
      class: "refused",
      hint: "the robot was removed or stopped",
    },
    {
      path: "$.errcode",
      equals: 310_000,
      class: "refused",
      hint: "the robot's security setting refuses it: check the secret, the keyword or the list of IP addresses",
    },
    { path: "$.errcode", equals: 460_101, class: "shorten" },
    { text: "message too long", class: "shorten" },
    { path: "$.errcode", equals: 0, class: "ok" },
    { path: "$.errcode", class: "dead" },
  ],
  cut: { "actionCard.title": 100, "actionCard.text": 15_000 },
  unit: "bytes",
  counts: "escaped",
  maxBytes: 19_000,
  // 20 a minute; a robot that sends more is muted for ten minutes.
  rate: { perSecond: 0.3, burst: 2 },
  mentions: "at",
} satisfies ChannelPreset;

/** https://developer.work.weixin.qq.com/document/path/91770 */
export const wecom = {
  name: "wecom",
  title: "WeCom",
  group: "chat",
  docs: "more-services",
  setup: ["In the group's menu add a group robot.", "Copy its webhook URL.", "Create the channel with that URL."],
  fields: [
    {
      key: "url",
      title: "Webhook URL",
      type: "url",
      secret: true,
      pattern: "https://qyapi\\.weixin\\.qq\\.com/cgi-bin/webhook/send\\?key=[\\w-]+",
      hint: "copy the whole URL, with key=",
      example: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx",
    },
  ],
  hosts: ["qyapi.weixin.qq.com"],
  send: {
    url: "{{ field.url }}",
    body: {
      msgtype: "markdown",
      markdown: {
        content:
          "### {{ n.emoji }} {{ n.title | line | nolinks }}\n{{ n.message | nolinks | suffix:'\n' }}" +
          "{{ n.details | nolinks | suffix:'\n' }}" +
          "{{ n.url | prefix:'[Open](' | suffix:') ' }}{{ n.ackUrl | prefix:'[Acknowledge](' | suffix:')' }}" +
          "\n> {{ n.severity }} · {{ n.statusText }} · {{ n.atText }}",
      },
    },
  },
  ok: [{ status: 200, path: "$.errcode", equals: 0 }],
  errors: [
    { path: "$.errcode", equals: [45_009, 45_033], class: "wait", after: ["60s"] },
    { path: "$.errcode", equals: -1, class: "retry" },
    {
      path: "$.errcode",
      equals: [93_000, 93_004, 93_008, 40_001],
      class: "refused",
      hint: "the webhook URL is not valid: the robot was removed",
    },
    { path: "$.errcode", equals: [45_002, 45_003], class: "shorten" },
    { path: "$.errcode", equals: 40_058, text: "exceed", class: "shorten" },
    { path: "$.errcode", equals: 0, class: "ok" },
    { path: "$.errcode", class: "dead" },
  ],
  cut: { "markdown.content": 4000 },
  unit: "bytes",
  counts: "escaped",
  rate: { perSecond: 0.3, burst: 5 },
  mentions: "angle",
} satisfies ChannelPreset;
