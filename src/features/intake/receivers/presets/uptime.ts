import type { ReceiverPreset } from "../preset.ts";

/** Uptime Kuma's notification type Webhook: as JSON, as form data, or by GET. */
const uptimeKuma = {
  name: "uptime-kuma",
  title: "Uptime Kuma",
  group: "monitoring",
  docs: "uptime-kuma",
  secret: "optional",
  secretTitle: "Token in Additional Headers",
  setup: [
    "Settings, Notifications, Setup Notification: type Webhook, Post URL {url}.",
    "Request body: the preset application/json; form-data and the method GET work as well.",
    "Press Test, and switch on Apply on all existing monitors.",
  ],
  methods: ["POST", "GET"],
  verify: [{ scheme: "credential" }],
  shape: [["body.heartbeat", "body.monitor", "body.msg"]],
  mapping: {
    let: {
      msg: "= first(body.msg, query.msg)",
      heartbeat: "= first(body.heartbeat, parseJson(query.heartbeat))",
      monitor: "= first(body.monitor, parseJson(query.monitor))",
    },
    output: "alerts",
    level: "= lookup(heartbeat.status, 0, 'critical', 1, 'info', 2, 'warning', 3, 'info')",
    title:
      "= concat(monitor.name, ' is ', " +
      "lookup(heartbeat.status, 0, 'down', 1, 'up', 2, 'pending', 3, 'in maintenance', 'in an unknown state'))",
    message: "= firstText(heartbeat.msg, msg)",
    key: "= monitor.id == null ? null : concat('kuma/', string(monitor.id))",
    status: "= lookup(heartbeat.status, 0, 'firing', 1, 'resolved', 'event')",
    // UTC without a zone.
    time: "= concat(replace(heartbeat.time, ' ', 'T'), 'Z')",
    link: "= monitor.url",
    labels: {
      "*": "= pairs(monitor.tags)",
      monitor: "= monitor.name",
      monitorType: "= monitor.type",
      hostname: "= monitor.hostname",
    },
    cases: [
      // The button Test, and notices such as of a certificate that expires: without a level, members are notified.
      {
        when: "heartbeat == null or monitor == null",
        level: "= contains(lower(msg), 'expire') ? 'warning' : null",
        title: "= msg == null ? null : first(firstLine(msg), 'Test')",
        message: "= msg",
        time: null,
      },
    ],
  },
  sample: {
    headers: { "user-agent": "axios/1.15.2" },
    body: {
      heartbeat: {
        monitorID: 3,
        status: 0,
        time: "2026-01-31 08:00:05.123",
        msg: "connect ECONNREFUSED 127.0.0.1:8080",
        ping: null,
        important: true,
        duration: 60,
        retries: 0,
        timezone: "Europe/Berlin",
        timezoneOffset: "+01:00",
        localDateTime: "2026-01-31 09:00:05",
      },
      monitor: {
        id: 3,
        name: "Shop",
        url: "https://shop.example/health",
        hostname: null,
        type: "http",
        tags: [{ tag_id: 1, monitor_id: 3, name: "team", value: "web", color: "#059669" }],
      },
      msg: "[Shop] [🔴 Down] connect ECONNREFUSED 127.0.0.1:8080",
    },
  },
} as const satisfies ReceiverPreset;

/** Healthchecks.io and its self-hosted form; the body is the placeholder `$JSON`. */
const healthchecks = {
  name: "healthchecks",
  title: "Healthchecks.io",
  group: "monitoring",
  docs: "healthchecks",
  secret: "optional",
  secretTitle: "Token in Request Headers",
  setup: [
    "Integrations, Add Integration, Webhook: for down and for up the method POST and the URL {url}.",
    "Request body for both: $JSON; request headers: Content-Type: application/json",
    "Press Send Test Notification, and switch on the integration for your checks.",
  ],
  methods: ["POST", "PUT", "GET"],
  verify: [{ scheme: "credential" }],
  shape: [["body.uuid", "body.ping_url|body.update_url", "body.status", "body.n_pings|body.last_ping"]],
  mapping: {
    let: {
      name: "= first(body.name, query.name, body.slug, query.id, 'A check')",
      state: "= lower(first(body.status, query.status))",
    },
    output: "alerts",
    level: "= lookup(state, 'down', 'error', 'up', 'info')",
    title: "= concat(name, ' is ', first(state, 'tested'))",
    message:
      "= concat(state == 'down' and body.last_ping != null ? concat('Last ping ', body.last_ping, '. ') : '', " +
      "first(body.desc, query.message, ''))",
    key: "= first(body.uuid, query.id, body.slug)",
    status: "= lookup(state, 'down', 'firing', 'up', 'resolved', 'event')",
    labels: { check: "= name", tags: "= body.tags", lastPing: "= body.last_ping", schedule: "= body.schedule" },
  },
  sample: {
    headers: { "user-agent": "healthchecks.io/3.9" },
    body: {
      name: "Backup of db-1",
      slug: "backup-db-1",
      tags: "prod db",
      desc: "Nightly backup",
      grace: 3600,
      n_pings: 214,
      status: "down",
      started: false,
      last_ping: "2026-01-30T02:00:11+00:00",
      next_ping: "2026-01-31T02:00:11+00:00",
      manual_resume: false,
      methods: "",
      uuid: "31365bce-8da9-4729-8ff3-aaa71d56b712",
      ping_url: "https://hc-ping.com/31365bce-8da9-4729-8ff3-aaa71d56b712",
      update_url: "https://healthchecks.io/api/v3/checks/31365bce-8da9-4729-8ff3-aaa71d56b712",
      channels: "",
      timeout: 86400,
    },
  },
} as const satisfies ReceiverPreset;

/** UptimeRobot's webhook: its variables in the query, in a form or in JSON. */
const uptimerobot = {
  name: "uptimerobot",
  title: "UptimeRobot",
  group: "monitoring",
  docs: "uptimerobot",
  secret: "optional",
  secretTitle: "Parameter token of the URL",
  setup: [
    "Integrations, Webhook, Add: URL to notify {url}, and switch on Send as JSON.",
    "POST value: the JSON of the documentation, of *monitorID*, *monitorURL*, *alertType* and others.",
    "Choose up and down events, and your monitors.",
  ],
  methods: ["POST", "PUT", "GET"],
  verify: [{ scheme: "credential" }],
  shape: [["body.monitorFriendlyName|body.monitorURL", "body.monitorID", "body.alertType"]],
  mapping: {
    let: {
      kind: "= string(first(body.alertType, query.alertType))",
      givenId: "= string(first(body.monitorID, query.monitorID))",
      url: "= first(body.monitorURL, query.monitorURL)",
      name: "= first(body.monitorFriendlyName, query.monitorFriendlyName, url)",
      // A variable that was not replaced is missing.
      id: "= startsWith(givenId, '*') ? null : givenId",
      days: "= string(first(body.sslExpiryDaysLeft, query.sslExpiryDaysLeft))",
    },
    output: "alerts",
    level: "= lookup(kind, '1', 'error', '2', 'info', '3', 'warning', '4', 'warning')",
    title:
      "= concat(name, lookup(kind, '1', ' is down', '2', ' is up', " +
      "'3', ': the certificate expires', '4', ': the domain expires', ': test'))",
    message: "= firstText(body.alertDetails, query.alertDetails)",
    key: "= first(id, url)",
    status: "= lookup(kind, '1', 'firing', '2', 'resolved', 'event')",
    time: "= first(body.alertDateTime, query.alertDateTime)",
    link: "= url",
    labels: { monitor: "= name", sslExpiryDaysLeft: "= startsWith(days, '*') ? null : days" },
  },
  sample: {
    body: {
      monitorID: "779471238",
      monitorURL: "https://shop.example",
      monitorFriendlyName: "Shop",
      alertType: "1",
      alertTypeFriendlyName: "Down",
      alertDetails: "HTTP 503 - Service Unavailable",
      alertDateTime: "1769846405",
    },
  },
} as const satisfies ReceiverPreset;

/** StatusCake's webhook of a contact group: a form. */
const statuscake = {
  name: "statuscake",
  title: "StatusCake",
  group: "monitoring",
  docs: "statuscake",
  secret: "optional",
  secretTitle: "Token: MD5 of user name and API key",
  setup: [
    "Alerting, Contact Groups, New Contact Group: Webhook URL {url}, Webhook Request Method POST.",
    "Choose the group in your uptime tests, under Contact Groups.",
    "Optional: give the receiver the token that StatusCake sends as its secret.",
  ],
  methods: ["POST", "GET"],
  verify: [{ scheme: "form", name: "Token" }, { scheme: "credential" }],
  shape: [["body.Status=up|down", "body.StatusCode|body.Token", "body.Name|body.URL"]],
  mapping: {
    let: {
      state: "= lower(first(body.Status, query.Status))",
      url: "= first(body.URL, query.URL)",
      name: "= first(body.Name, query.Name, url)",
    },
    output: "alerts",
    level: "= lookup(state, 'down', 'error', 'up', 'info')",
    title: "= concat(name, ' is ', first(state, 'tested'))",
    message: "= exists(body.StatusCode) ? concat(url, ' answers ', string(body.StatusCode)) : null",
    key: "= concat(url, '|', name)",
    status: "= lookup(state, 'down', 'firing', 'up', 'resolved', 'event')",
    link: "= url",
    labels: { test: "= name", statusCode: "= string(body.StatusCode)", tags: "= body.Tags", ip: "= body.IP" },
  },
  sample: {
    contentType: "application/x-www-form-urlencoded",
    body:
      "URL=https%3A%2F%2Fshop.example&Token=5f4dcc3b5aa765d61d8327deb882cf99&Name=Shop&StatusCode=503" +
      "&Status=Down&Method=Website&Tags=prod%2Cweb&IP=192.0.2.10&CheckRate=300",
  },
} as const satisfies ReceiverPreset;

export const UPTIME_PRESETS = [uptimeKuma, healthchecks, uptimerobot, statuscake] as const;
