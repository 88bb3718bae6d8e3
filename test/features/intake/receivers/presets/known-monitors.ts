import type { SenderRow } from "./known-programs.ts";

/** An alert in the common schema of Azure Monitor. */
export const azure = (monitorCondition: string) => ({
  schemaId: "azureMonitorCommonAlertSchema",
  data: {
    essentials: {
      alertId: "/subscriptions/s/providers/Microsoft.AlertsManagement/alerts/b9569717",
      alertRule: "CPU of web",
      severity: "Sev1",
      signalType: "Metric",
      monitorCondition,
      configurationItems: ["web-1"],
      originAlertId: "o1",
      firedDateTime: "2026-01-31T08:00:05.123Z",
      description: "Above 90 %",
      essentialsVersion: "1.0",
    },
    alertContext: {},
  },
});

const google = (state: string) => ({
  incident: {
    incident_id: "0.m9",
    scoping_project_id: "shop",
    url: "https://console.cloud.google.com/monitoring/alerting/alerts/0.m9",
    started_at: 1769846405,
    state,
    summary: "CPU of web-1 is above the threshold of 0.9 with a value of 0.97.",
    severity: "Critical",
    policy_name: "CPU",
    condition_name: "High CPU",
    resource_display_name: "web-1",
  },
  version: "1.2",
});

const statuspage = (status: string, impact = "major") => ({
  meta: { unsubscribe: "https://status.example/unsubscribe", documentation: "https://doers.statuspage.io" },
  page: { id: "p", status_indicator: "major", status_description: "Partial outage" },
  incident: {
    ...{ id: "i9", name: "Login fails", status, impact, shortlink: "https://stspg.io/i9" },
    incident_updates: [{ body: "We look into it.", status }],
  },
});

const rollbar = (event_name: string) => ({
  event_name,
  data: {
    item: { id: 272505123, title: "TypeError: x is undefined", level: 40, environment: "production", counter: 4 },
  },
});

const newRelic = (state: string) => ({
  id: "d1b1f3fd",
  issueUrl: "https://radar-api.service.newrelic.com/accounts/1/issues/d1b1f3fd",
  title: "web-1 CPU is high",
  priority: "CRITICAL",
  impactedEntities: ["web-1"],
  totalIncidents: 1,
  state,
  trigger: "STATE_CHANGE",
  createdAt: 1769846405000,
});

/** Monitoring, incidents and errors. */
export const MONITORS: readonly SenderRow[] = [
  [
    "Statuspage, an incident",
    statuspage("investigating"),
    [
      ...["statuspage.incident", "error", "Login fails: investigating", "We look into it."],
      ...["https://stspg.io/i9", "firing i9"],
    ],
  ],
  [
    "Statuspage, its end",
    statuspage("resolved"),
    [
      ...["statuspage.incident", "info", "Login fails: resolved", "We look into it."],
      ...["https://stspg.io/i9", "resolved i9"],
    ],
  ],
  [
    "Rollbar",
    rollbar("new_item"),
    ["rollbar.new-item", "error", "New item: TypeError: x is undefined", "production", null, "firing 272505123"],
  ],
  [
    "Rollbar, resolved",
    rollbar("resolved_item"),
    [
      "rollbar.resolved-item",
      "error",
      "Resolved item: TypeError: x is undefined",
      "production",
      null,
      "resolved 272505123",
    ],
  ],
  [
    "Azure Monitor, fired",
    azure("Fired"),
    ["azure-monitor.fired", "error", "CPU of web on web-1", "Above 90 %", null, "firing o1"],
  ],
  [
    "Azure Monitor, resolved",
    azure("Resolved"),
    ["azure-monitor.resolved", "error", "CPU of web on web-1", "Above 90 %", null, "resolved o1"],
  ],
  [
    "Azure Monitor, a metric before the common schema",
    {
      schemaId: "AzureMonitorMetricAlert",
      data: {
        status: "Activated",
        context: {
          id: "/a",
          name: "CPU",
          severity: "3",
          resourceName: "web-1",
          portalLink: "https://portal.azure.com/x",
        },
      },
    },
    ["azure-monitor.activated", "info", "CPU on web-1", null, "https://portal.azure.com/x", "firing /a/web-1"],
  ],
  [
    "Google Cloud Monitoring, open",
    google("open"),
    [
      ...["google-monitoring.open", "fatal", "CPU: web-1"],
      "CPU of web-1 is above the threshold of 0.9 with a value of 0.97.",
      ...["https://console.cloud.google.com/monitoring/alerting/alerts/0.m9", "firing 0.m9"],
    ],
  ],
  [
    "Google Cloud Monitoring, closed",
    google("closed"),
    [
      ...["google-monitoring.closed", "fatal", "CPU: web-1"],
      "CPU of web-1 is above the threshold of 0.9 with a value of 0.97.",
      ...["https://console.cloud.google.com/monitoring/alerting/alerts/0.m9", "resolved 0.m9"],
    ],
  ],
  [
    "New Relic, activated",
    newRelic("ACTIVATED"),
    [
      ...["new-relic.activated", "fatal", "web-1 CPU is high", "STATE_CHANGE\nweb-1"],
      ...["https://radar-api.service.newrelic.com/accounts/1/issues/d1b1f3fd", "firing d1b1f3fd"],
    ],
  ],
  [
    "New Relic, closed",
    newRelic("CLOSED"),
    [
      ...["new-relic.closed", "fatal", "web-1 CPU is high", "STATE_CHANGE\nweb-1"],
      ...["https://radar-api.service.newrelic.com/accounts/1/issues/d1b1f3fd", "resolved d1b1f3fd"],
    ],
  ],
  [
    "Graylog",
    {
      ...{ event_definition_id: "6", event_definition_title: "Too many 500s", event_definition_description: "" },
      ...{
        event: { id: "01", message: "Too many 500s: count()=812", source: "web-1", priority: 3, alert: true },
        backlog: [],
      },
    },
    ["graylog.event", "error", "Too many 500s", "Too many 500s: count()=812", null, null],
  ],
  [
    "Aria Operations",
    {
      ...{ alertId: "a1", alertName: "Datastore is full", resourceName: "ds-1", status: "ACTIVE", info: "97 %" },
      ...{ criticality: "ALERT_CRITICALITY_LEVEL_CRITICAL", alertURL: "https://vrops.example/a1" },
    },
    [
      ...["aria-operations.alert", "fatal", "ds-1: Datastore is full", "97 %"],
      ...["https://vrops.example/a1", "firing a1"],
    ],
  ],
  [
    "LibreNMS",
    {
      title: "Alert for device sw-1",
      hostname: "sw-1",
      rule: "Port down",
      state: 1,
      severity: "critical",
      msg: "Port 4",
    },
    ["librenms.alert", "fatal", "Alert for device sw-1", "Port 4", null, "firing sw-1/Port down"],
  ],
  [
    "LibreNMS, recovered",
    { title: "Device sw-1 recovered", hostname: "sw-1", rule: "Port down", state: 0, severity: "ok", msg: "Port 4" },
    ["librenms.alert", "info", "Device sw-1 recovered", "Port 4", null, "resolved sw-1/Port down"],
  ],
  [
    "Pingdom",
    { check_id: 12345, check_name: "Shop", current_state: "DOWN", previous_state: "UP", description: "HTTP 500" },
    ["pingdom.down", "error", "Shop is down", "HTTP 500", null, "firing 12345"],
  ],
  [
    "Netdata",
    { alert: "ram_in_use", chart: "system.ram", node: "db-1", severity: "warning", message: "RAM is at 93 %" },
    [
      "netdata.warning",
      "warn",
      "ram_in_use db-1 system.ram is warning",
      "RAM is at 93 %",
      null,
      "firing db-1/system.ram/ram_in_use",
    ],
  ],
  [
    "Kapacitor",
    { id: "cpu:web-1", message: "cpu:web-1 is OK", level: "OK", data: { series: [] }, time: "2026-01-31T08:00:05Z" },
    ["kapacitor.ok", "info", "cpu:web-1 is ok", "cpu:web-1 is OK", null, "resolved cpu:web-1"],
  ],
  [
    "Riemann",
    { host: "web-1", service: "cpu", state: "critical", metric: 0.97, description: "97 %" },
    ["riemann.critical", "fatal", "cpu web-1 is critical", "97 %", null, "firing web-1/cpu"],
  ],
];
