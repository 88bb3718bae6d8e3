import type { ReceiverPreset } from "../preset.ts";

/** Zabbix: the body that the media type of docs/integrations/zabbix.md sends. */
const zabbix = {
  name: "zabbix",
  title: "Zabbix",
  group: "monitoring",
  docs: "zabbix",
  secret: "optional",
  secretTitle: "Token that the media type sends",
  setup: [
    "Alerts, Media types, Create: type Webhook, with the script and the parameters of the documentation.",
    "Set the parameter url to {url}, and add the media type to a user, with any Send to.",
    "Add the user to an action for trigger events, with recovery and update operations.",
  ],
  methods: ["POST"],
  verify: [{ scheme: "credential" }],
  shape: [["body.source=zabbix", "body.value", "body.event|body.id"]],
  mapping: {
    let: { value: "= string(body.value)", update: "= string(body.update)" },
    output: "alerts",
    level:
      "= lookup(string(body.severity), '0', 'info', '1', 'info', '2', 'warning', '3', 'warning', '4', 'error', '5', 'critical')",
    title: "= body.name",
    message: "= body.message",
    key: "= string(first(body.event, body.id))",
    status:
      "= value == '0' ? 'resolved' : update == '1' ? " +
      "lookup(lower(body.acknowledged), 'yes', 'acknowledged', 'event') : lookup(value, '1', 'firing', 'event')",
    link: "= body.url",
    labels: { "*": "= pairs(body.tags, 'tag', 'value')", host: "= body.host", trigger: "= string(body.id)" },
  },
  sample: {
    headers: { "user-agent": "Zabbix 7.0.9" },
    body: {
      source: "zabbix",
      id: "23456",
      event: "120784",
      value: "1",
      update: "0",
      acknowledged: "No",
      severity: "4",
      name: "Disk space is low on /var",
      host: "web-1",
      message: "Problem started at 08:00:05 on 2026.01.31",
      tags: [{ tag: "component", value: "storage" }],
      url: "https://zabbix.example/tr_events.php?triggerid=23456&eventid=120784",
    },
  },
} as const satisfies ReceiverPreset;

/** Datadog's webhook integration, with the payload of docs/integrations/datadog.md or its default. */
const datadog = {
  name: "datadog",
  title: "Datadog",
  group: "monitoring",
  docs: "datadog",
  secret: "optional",
  secretTitle: "Token in Custom Headers",
  setup: [
    "Integrations, Webhooks, New: name prism, URL {url}, and the payload of the documentation.",
    "Write @webhook-prism into the message of each monitor, without a condition.",
    "Press Test Notifications in the monitor.",
  ],
  methods: ["POST"],
  verify: [{ scheme: "credential" }],
  shape: [
    ["body.title", "body.event_type", "body.last_updated", "body.org.id"],
    ["body.transition", "body.cycle|body.aggreg"],
  ],
  mapping: {
    let: {
      given: "= lower(first(body.transition, body.alert_transition))",
      title: "= lower(body.title)",
      // Datadog's default payload has the state in the title only.
      state:
        "= first(given, matches(title, '^\\\\[recovered') ? 'recovered' : " +
        "(matches(title, '^\\\\[(re-)?(triggered|warn|no data)') ? 'triggered' : null))",
    },
    output: "alerts",
    level:
      "= matches(first(given, title, ''), '^(re-)?(warn|no data)|^\\\\[(re-)?(warn|no data)') ? 'warning' : " +
      "first(lookup(lower(body.priority), 'normal', null, 'low', null, body.priority), body.alert_type, " +
      "lookup(state, 'triggered', 'error', 'recovered', 'info'))",
    title: "= body.title",
    message: "= firstText(body.text, body.body)",
    key: "= first(body.cycle, body.aggreg, body.alert_id)",
    status:
      "= lookup(state, 'triggered', 'firing', 're-triggered', 'firing', 'no data', 'firing', 're-no data', 'firing', " +
      "'warn', 'firing', 're-warn', 'firing', 'renotify', 'firing', 'recovered', 'resolved', 'event')",
    time: "= body.date",
    link: "= body.link",
    labels: { status: "= body.status", tags: "= body.tags", host: "= body.hostname", org: "= body.org.name" },
  },
  sample: {
    body: {
      id: "6894213507123456789",
      title: "[Triggered on {host:web-1}] CPU is high",
      body: "CPU has been above 90 % for 5 minutes",
      text: "CPU has been above 90 % for 5 minutes",
      event_type: "query_alert_monitor",
      last_updated: "1769846405000",
      date: "1769846405000",
      org: { id: "11023", name: "Example" },
      transition: "Triggered",
      cycle: "8143275612834",
      aggreg: "9bd4ac313a4d1e8fae2482df7b77628",
      priority: "P2",
      alert_type: "error",
      status: "system.cpu.user over host:web-1 was > 90 on average during the last 5m",
      hostname: "web-1",
      tags: "env:prod,host:web-1",
      link: "https://app.datadoghq.com/event/event?id=6894213507123456789",
    },
  },
} as const satisfies ReceiverPreset;

export const MONITORING_PRESETS = [zabbix, datadog] as const;
