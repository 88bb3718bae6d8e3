import type { ChannelPreset } from "../preset.ts";

const TITLE = "{{ n.emoji }} {{ n.title | line }}";
const TEXT = "{{ n.message | default:n.title }}{{ n.details | prefix:'\n' }}{{ n.ackUrl | prefix:'\nAcknowledge: ' }}";
/** −2 to 2, as Prowl and Pushsafer count. */
const PRIORITY = {
  $map: "n.status",
  resolved: 0,
  acknowledged: -1,
  $else: { $map: "n.severity", critical: 2, error: 1, warning: 0, $else: -1 },
} as const;

/** https://github.com/Finb/bark-server/blob/master/ */
export const bark = {
  name: "bark",
  title: "Bark (iOS)",
  group: "push",
  docs: "more-services",
  setup: [
    "Install Bark on the iPhone and allow notifications.",
    "Copy the key from the URL that the app shows.",
    "Create the channel with the key; with your own bark-server, also with its URL.",
  ],
  fields: [
    {
      key: "url",
      title: "Server",
      type: "url",
      required: false,
      default: "https://api.day.app",
      example: "https://api.day.app",
    },
    { key: "key", title: "Device key", secret: true, pattern: "[A-Za-z0-9]{10,64}", example: "ynJ5Ft4atkMkWeo2PAvFhF" },
  ],
  send: {
    url: "{{ field.url }}/push",
    body: {
      device_key: "{{ field.key }}",
      title: TITLE,
      body: TEXT,
      level: {
        $map: "n.status",
        resolved: "active",
        acknowledged: "passive",
        $else: {
          $map: "n.severity",
          critical: "critical",
          error: "timeSensitive",
          warning: "active",
          $else: "passive",
        },
      },
      group: "{{ n.project | default:'Prism' }}",
      // A message with the same id takes the position of the first one.
      id: "{{ key | hash:32 }}",
      "url?": "{{ n.url }}",
    },
  },
  ok: [{ status: 200, path: "$.code", equals: 200 }],
  errors: [
    {
      // Apple's words, which the server passes on.
      text: "BadDeviceToken|Unregistered|ExpiredToken",
      class: "gone",
      hint: "the app was removed from the device, or registered again: use its new key",
    },
    {
      text: "failed to get device token|device key is empty",
      class: "refused",
      hint: "the key is not one of a device of this server",
    },
    { path: "$.code", equals: 429, class: "wait", after: ["60s"] },
    { status: 401, class: "refused", hint: "the server asks for a password" },
  ],
  cut: { title: 250, body: 1500, group: 100 },
  unit: "bytes",
  maxBytes: 3500,
  rate: { perSecond: 1, burst: 10 },
} satisfies ChannelPreset;

/** https://www.prowlapp.com/api.php */
export const prowl = {
  name: "prowl",
  title: "Prowl (iOS)",
  group: "push",
  docs: "more-services",
  setup: [
    "Install Prowl on the iPhone and log in.",
    "At prowlapp.com open API Keys and generate one.",
    "Create the channel with the key.",
  ],
  fields: [
    {
      key: "key",
      title: "API key",
      secret: true,
      pattern: "[0-9a-f]{40}",
      example: "0123456789abcdef0123456789abcdef01234567",
    },
  ],
  hosts: ["api.prowlapp.com"],
  send: {
    url: "https://api.prowlapp.com/publicapi/add",
    type: "form",
    body: {
      apikey: "{{ field.key }}",
      application: "Prism",
      event: TITLE,
      description: TEXT,
      priority: PRIORITY,
      "url?": "{{ n.url }}",
    },
  },
  ok: [{ status: 200, text: "<success " }],
  errors: [
    { status: 401, class: "refused", hint: "the API key is not valid" },
    { status: 406, class: "wait", after: ["3600s"], hint: "this address has used up its 1,000 calls an hour" },
    { status: 409, class: "refused", hint: "the API key's owner has not approved it" },
    { status: 200, text: "<error ", class: "dead" },
  ],
  cut: { event: 1024, description: 5000 },
  unit: "bytes",
  rate: { perSecond: 0.25, burst: 20 },
} satisfies ChannelPreset;

/** https://docs.pushbullet.com/#create-push */
export const pushbullet = {
  name: "pushbullet",
  title: "Pushbullet",
  group: "push",
  docs: "more-services",
  setup: [
    "Install Pushbullet and log in.",
    "At pushbullet.com open Settings, Account, and create an access token.",
    "Create the channel with the token; a device or a Pushbullet channel is optional.",
  ],
  fields: [
    {
      key: "token",
      title: "Access token",
      secret: true,
      pattern: "[\\w.-]{20,100}",
      example: "o.abcdefghijklmnopqrstuvwxyz012345",
    },
    { key: "device", title: "Device id", pattern: "\\w{5,100}", required: false, example: "ujpah72o0sjAoRtnM0jc" },
    { key: "channel", title: "Tag of a channel", pattern: "[\\w-]{1,100}", required: false, example: "my-alerts" },
  ],
  hosts: ["api.pushbullet.com"],
  send: {
    url: "https://api.pushbullet.com/v2/pushes",
    headers: { "Access-Token": "{{ field.token }}" },
    body: {
      type: { $if: "n.url", $then: "link", $else: "note" },
      title: TITLE,
      body: TEXT,
      "url?": "{{ n.url }}",
      guid: "{{ id }}",
      "device_iden?": "{{ field.device }}",
      "channel_tag?": "{{ field.channel }}",
    },
  },
  remove: {
    method: "DELETE",
    url: "https://api.pushbullet.com/v2/pushes/{{ ref.iden }}",
    headers: { "Access-Token": "{{ field.token }}" },
  },
  ok: [
    { status: 200, path: "$.iden" },
    { status: 200, for: ["remove"] },
  ],
  ref: { iden: "$.iden" },
  errors: [
    { status: 429, class: "wait", after: ["header:x-ratelimit-reset epoch", "60s"] },
    { status: [401, 403], class: "refused", hint: "the access token is not valid" },
    {
      status: 400,
      text: "pushbullet_pro_required",
      class: "refused",
      hint: "the account's free pushes of this month are used up",
    },
    { status: 400, text: "device_iden|channel_tag", class: "refused", hint: "there is no such device or channel" },
  ],
  cut: { title: 250, body: 4000 },
  unit: "codepoints",
  rate: { perSecond: 0.8, burst: 5 },
} satisfies ChannelPreset;

/** https://www.pushsafer.com/en/pushapi */
export const pushsafer = {
  name: "pushsafer",
  title: "Pushsafer",
  group: "push",
  docs: "more-services",
  setup: [
    "Install Pushsafer and register the device.",
    "At pushsafer.com copy the private key, or an alias key.",
    "Create the channel with the key; a device or group is optional.",
  ],
  fields: [
    {
      key: "key",
      title: "Private or alias key",
      secret: true,
      pattern: "[A-Za-z0-9]{10,40}",
      example: "XXXXXXXXXXXXXXXXXXXX",
    },
    {
      key: "device",
      title: "Device or group",
      pattern: "a|g?s?\\d{1,10}",
      required: false,
      default: "a",
      example: "52",
    },
  ],
  hosts: ["www.pushsafer.com"],
  send: {
    url: "https://www.pushsafer.com/api",
    type: "form",
    body: {
      k: "{{ field.key }}",
      d: "{{ field.device }}",
      t: TITLE,
      m: TEXT,
      c: "{{ n.color }}",
      pr: PRIORITY,
      "u?": "{{ n.url }}",
      "ut?": { $if: "n.url", $then: "Open", $else: "" },
    },
  },
  ok: [{ status: 200, path: "$.status", equals: 1 }],
  errors: [
    {
      text: 'private or alias key|invalid (private )?key|"k" is missing',
      class: "refused",
      hint: "the key is not valid",
    },
    { text: "no more (push|api).?calls|quota|credit", class: "refused", hint: "the account's calls are used up" },
    { path: "$.status", equals: 0, class: "dead" },
  ],
  cut: { t: 250, m: 4000 },
  unit: "codepoints",
  rate: { perSecond: 1, burst: 5 },
} satisfies ChannelPreset;

/** https://simplepush.io/api */
export const simplepush = {
  name: "simplepush",
  title: "Simplepush",
  group: "push",
  docs: "more-services",
  setup: [
    "Install Simplepush.",
    "Copy the key that the app shows.",
    "Create the channel with the key. The text is not encrypted end to end.",
  ],
  fields: [
    { key: "key", title: "Key", secret: true, pattern: "[A-Za-z0-9]{4,40}", example: "HuxgBB" },
    { key: "event", title: "Event, for an own sound", pattern: "\\w{1,40}", required: false, example: "alert" },
  ],
  hosts: ["api.simplepush.io"],
  send: {
    url: "https://api.simplepush.io/send",
    type: "form",
    body: { key: "{{ field.key }}", title: TITLE, msg: TEXT, "event?": "{{ field.event }}" },
  },
  ok: [{ status: 200, path: "$.status", equals: "OK" }],
  errors: [{ text: "key not found|no such key|invalid key", class: "refused", hint: "no device has this key" }],
  cut: { title: 250, msg: 5000 },
  unit: "codepoints",
  rate: { perSecond: 1, burst: 5 },
} satisfies ChannelPreset;
