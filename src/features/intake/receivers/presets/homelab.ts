import type { ReceiverPreset } from "../preset.ts";

/** The notification target `webhook` of Proxmox VE and Proxmox Backup Server. */
const proxmox = {
  name: "proxmox",
  title: "Proxmox VE and Backup Server",
  group: "monitoring",
  docs: "proxmox",
  secret: "optional",
  secretTitle: "Secret token of the target",
  setup: [
    "Datacenter, Notifications, Add, Webhook: method POST, URL {url}, and the body of the documentation.",
    "Add the header Content-Type: application/json",
    "Add the target to a notification matcher, and press Test.",
  ],
  methods: ["POST", "PUT"],
  verify: [{ scheme: "credential" }],
  shape: [["body.title", "body.severity", "body.fields.type", "body.fields.hostname"]],
  mapping: {
    output: "events",
    type: "= concat('proxmox.', first(body.fields.type, 'notification'))",
    level: "= body.severity",
    title: "= body.title",
    message: "= body.message",
    key: "= concat(body.fields.type, '/', body.fields.hostname, '/', body.fields['job-id'])",
    time: "= body.timestamp",
    labels: { "*": "= body.fields" },
  },
  sample: {
    headers: { "user-agent": "proxmox-notify" },
    body: {
      title: "vzdump backup status (pve1): backup failed",
      message: "Details\n=======\nVMID 101: No space left on device",
      severity: "error",
      timestamp: 1769846405,
      fields: { type: "vzdump", hostname: "pve1", "job-id": "backup-3f2a" },
    },
  },
} as const satisfies ReceiverPreset;

/** TrueNAS' alert service Slack, which posts a text to any URL. */
const truenas = {
  name: "truenas",
  title: "TrueNAS",
  group: "monitoring",
  docs: "truenas",
  secret: "none",
  setup: [
    "System Settings, Alert Settings, Add alert service: type Slack.",
    "Webhook URL: {url}",
    "Press Send Test Alert, and save.",
  ],
  methods: ["POST"],
  verify: [],
  handshake: "slack",
  mapping: {
    let: {
      block: "= stripHtml(first(body.text, text))",
      // The first line names the host only; the alerts are below, each after a star.
      alerts: "= split(block, '\\n* ')",
    },
    output: "events",
    type: "truenas.alerts",
    level: "= contains(lower(block), 'new alert') or contains(lower(block), 'current alert') ? 'warning' : null",
    title:
      "= at(alerts, 1) == null ? firstLine(block) : concat(firstLine(block), ': ', firstLine(at(alerts, 1)), " +
      "at(alerts, 2) == null ? '' : concat(' and ', string(length(alerts) - 2), ' more'))",
    message: "= block",
  },
  answer: { status: 200, type: "text/plain", body: "ok" },
  errors: "slack",
  sample: {
    body: {
      text: "TrueNAS @ nas.example\n\nNew alerts:\n* Pool tank is DEGRADED\n",
    },
  },
} as const satisfies ReceiverPreset;

/** Unraid: the notification agent of docs/integrations/unraid.md sends a form. */
const unraid = {
  name: "unraid",
  title: "Unraid",
  group: "monitoring",
  docs: "unraid",
  secret: "optional",
  secretTitle: "Token that the agent sends",
  setup: [
    "Save the script of the documentation as /boot/config/plugins/dynamix/notifications/agents/Prism.sh",
    "Set its URL to {url}.",
    "Settings, Notification Settings: switch on Agents for notices, warnings and alerts.",
  ],
  methods: ["POST"],
  verify: [{ scheme: "credential" }],
  shape: [["body.event", "body.subject", "body.importance"]],
  mapping: {
    output: "events",
    type: "unraid.notification",
    level: "= lookup(lower(body.importance), 'alert', 'critical', 'warning', 'warning', 'normal', 'info')",
    title: "= firstText(body.subject, body.event)",
    message: "= stripHtml(first(body.content, body.description))",
    key: "= body.event",
    time: "= body.timestamp",
    link: "= body.link",
    source: "= body.host",
    labels: { event: "= body.event", host: "= body.host", description: "= body.description" },
  },
  sample: {
    contentType: "application/x-www-form-urlencoded",
    headers: { "user-agent": "curl/8.5.0" },
    body:
      "event=Unraid+array+errors&subject=Warning+%5BTOWER%5D+-+array+has+errors" +
      "&description=Array+has+1+disk+with+read+errors" +
      "&importance=warning&content=Disk+2+-+WDC_WD80+%28sdc%29+%28errors+4%29&timestamp=1769846405&host=tower",
  },
} as const satisfies ReceiverPreset;

/** Synology DSM: a custom webhook whose parameter `text` is the message. */
const synology = {
  name: "synology",
  title: "Synology DSM",
  group: "monitoring",
  docs: "synology",
  secret: "optional",
  secretTitle: "Token in a header of the webhook",
  setup: [
    "Control Panel, Notification, Webhooks, Add: provider Custom, URL {url}, method POST.",
    "Header Content-Type application/json, body parameter text with the value @@TEXT@@.",
    "Choose the rules that the webhook uses, and press Send Test Message.",
  ],
  methods: ["POST", "PUT", "GET"],
  verify: [{ scheme: "credential" }],
  mapping: {
    let: {
      message: "= firstText(body.text, body.message, query.text, query.message, text)",
      words: "= replace(replace(lower(message), 'without error', ''), 'no error', '')",
    },
    output: "events",
    type: "synology.notification",
    level:
      "= matches(words, 'fail|crash|degraded|critical|error|offline') ? 'error' : " +
      "matches(words, 'warn|low|abnormal|expire|improper') ? 'warning' : null",
    title: "= firstText(body.title, firstLine(message))",
    message: "= message",
  },
  sample: { body: { text: "Storage Pool 1 on nas has degraded. Replace the failed drive." } },
} as const satisfies ReceiverPreset;

/** Home Assistant: `rest_command`, or a notify service of the platform rest. */
const homeAssistant = {
  name: "home-assistant",
  title: "Home Assistant",
  group: "monitoring",
  docs: "home-assistant",
  secret: "optional",
  secretTitle: "Token in the headers of rest_command",
  setup: [
    "Add the rest_command of the documentation to configuration.yaml, with the URL {url}.",
    "Call it in an automation with title, message, severity, id and state.",
    "Restart Home Assistant, and run the automation.",
  ],
  methods: ["POST", "PUT", "GET"],
  verify: [{ scheme: "credential" }],
  mapping: {
    let: {
      state: "= lower(string(first(body.state, body.data.state, query.state)))",
      message: "= firstText(body.message, query.message)",
    },
    output: "alerts",
    level: "= first(body.severity, body.data.severity, query.severity)",
    title: "= firstText(body.title, query.title, firstLine(message))",
    message: "= message",
    key: "= first(body.id, body.data.id, query.id)",
    status:
      "= lookup(state, 'firing', 'firing', 'on', 'firing', 'problem', 'firing', " +
      "'resolved', 'resolved', 'off', 'resolved', 'ok', 'resolved', 'event')",
    link: "= first(body.url, body.data.url)",
  },
  sample: {
    headers: { "user-agent": "HomeAssistant/2026.1.2 aiohttp/3.13 Python/3.13" },
    body: {
      title: "Water in the cellar",
      message: "The sensor by the boiler is wet",
      severity: "critical",
      id: "binary_sensor.cellar_leak",
      state: "firing",
    },
  },
} as const satisfies ReceiverPreset;

export const HOMELAB_PRESETS = [proxmox, truenas, unraid, synology, homeAssistant] as const;
