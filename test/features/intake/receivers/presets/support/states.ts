import { GITLAB, GRAFANA_8, GRAFANA_TEST, SENTRY, snsAlarm } from "./bodies.ts";

export interface Given {
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly method?: "GET";
  readonly contentType?: string;
}

/** What arrives, and what it becomes: `<status> <level> <title> [<key>]`, for an event its type. */
export type Row = readonly [name: string, body: unknown, becomes: string, given?: Given];

const FORM = { contentType: "application/x-www-form-urlencoded" };
const kuma = (status: number) => ({ heartbeat: { status }, monitor: { id: 9, name: "Shop" }, msg: "[Shop] changed" });
const zabbix = (changes: object) => ({
  source: "zabbix",
  event: "7",
  name: "Disk",
  severity: "5",
  value: "1",
  ...changes,
});
const datadog = (changes: object) => ({ title: "CPU", cycle: "c1", priority: "P3", ...changes });
const pager = (event_type: string, data: object) => ({
  event: { id: event_type, event_type, occurred_at: "2026-01-31T08:00:00Z", data },
});
const jenkins = (phase: string, status?: string) => ({
  name: "web",
  url: "job/web/",
  build: { number: 4, phase, status },
});
const argo = (changes: object) => ({ source: "argocd", id: "web", sync: "Synced", phase: "Succeeded", ...changes });
const run = (state: string) => ({
  run: { title: "Test", workflow_id: "ci.yml", prettyref: "main", repository: { full_name: "a/b" } },
  state,
});
const ce = (data: unknown, more = {}) => ({ specversion: "1.0", id: "1", source: "/s", type: "t.x", data, ...more });

/** States of each sender beside those of its sample. */
export const STATES: Readonly<Record<string, readonly Row[]>> = {
  alertmanager: [
    [
      "resolved",
      { version: "4", alerts: [{ status: "resolved", labels: { alertname: "A" }, fingerprint: "f" }] },
      "resolved [f]",
    ],
    [
      "without fingerprint",
      { groupKey: "g", alerts: [{ status: "firing", labels: { alertname: "A", instance: "i" } }] },
      "firing undefined A [g/A/i]",
    ],
    ["a custom payload", { title: "Own", severity: "critical", key: "k", status: "firing" }, "firing critical Own [k]"],
  ],
  grafana: [
    ["the button Test", GRAFANA_TEST, "grafana.test info Test: TestAlert"],
    ["version 8, alerting", GRAFANA_8, "firing error [Alerting] Panel Title alert [grafana/1/1]"],
    ["version 8, ok", { ...GRAFANA_8, state: "ok" }, "resolved [grafana/1/1]"],
    [
      "version 8, no data",
      { ...GRAFANA_8, state: "no_data" },
      "firing warning [Alerting] Panel Title alert [grafana/1/1]",
    ],
    ["version 8, paused", { ...GRAFANA_8, state: "paused" }, "grafana.event info [Alerting] Panel Title alert"],
    ["version 8, the button Test", { ...GRAFANA_8, ruleId: 0 }, "grafana.event error [Alerting] Panel Title alert"],
    ["a custom payload", { title: "Own", state: "ok", key: "k" }, "resolved [k]"],
  ],
  "uptime-kuma": [
    ["up", kuma(1), "resolved [kuma/9]"],
    ["pending", kuma(2), "uptime-kuma.event warn Shop is pending"],
    ["maintenance", kuma(3), "uptime-kuma.event info Shop is in maintenance"],
  ],
  healthchecks: [
    ["up", { status: "up", uuid: "u", name: "Backup" }, "resolved [u]"],
    ["by GET", "", "firing error Backup is down [u]", { method: "GET", query: "id=u&name=Backup&status=down" }],
    ["a test", { status: "test", uuid: "u", name: "Backup" }, "healthchecks.event info Backup is test"],
  ],
  uptimerobot: [
    ["up, in the query", "", "resolved [7]", { query: "monitorID=7&monitorFriendlyName=Shop&alertType=2" }],
    ["down, as a form", "monitorID=7&monitorFriendlyName=Shop&alertType=1", "firing error Shop is down [7]", FORM],
    [
      "without an id",
      { monitorURL: "https://a.example", alertType: 1 },
      "firing error https://a.example is down [https://a.example]",
    ],
    [
      "not replaced",
      { monitorID: "*monitorID*", monitorURL: "https://a.example", alertType: 2 },
      "resolved [https://a.example]",
    ],
    [
      "a certificate",
      { monitorID: 7, monitorFriendlyName: "Shop", alertType: 3 },
      "uptimerobot.event warn Shop: the certificate expires",
    ],
  ],
  statuscake: [["up", "URL=https%3A%2F%2Fa.example&Name=Shop&Status=Up", "resolved [https://a.example|Shop]", FORM]],
  zabbix: [
    ["recovery", zabbix({ value: "0" }), "resolved [7]"],
    ["acknowledged", zabbix({ update: "1", acknowledged: "Yes" }), "acknowledged [7]"],
    ["commented", zabbix({ update: "1", acknowledged: "No" }), "zabbix.event fatal Disk"],
    ["not classified", zabbix({ severity: "0" }), "firing info Disk [7]"],
  ],
  datadog: [
    ["recovered", datadog({ transition: "Recovered" }), "resolved [c1]"],
    ["renotified", datadog({ transition: "Renotify" }), "firing warning CPU [c1]"],
    ["no data", datadog({ transition: "No Data", priority: "P1" }), "firing warning CPU [c1]"],
    [
      "the default payload",
      { id: "1", title: "[Triggered on {host:a}] CPU", body: "high" },
      "datadog.firing error [Triggered on {host:a}] CPU",
    ],
    ["an event", { id: "1", title: "Deployed", body: "1.4" }, "datadog.event info Deployed"],
  ],
  proxmox: [
    [
      "a notice",
      { title: "Updates", severity: "notice", fields: { type: "package-updates" } },
      "proxmox.package-updates info Updates",
    ],
  ],
  truenas: [
    [
      "cleared",
      { text: "TrueNAS @ nas\n\nThe following alert has been cleared:\n* Pool\n" },
      "truenas.alerts info TrueNAS @ nas: Pool",
    ],
  ],
  unraid: [
    [
      "a notice",
      "subject=Parity+check+finished&importance=normal",
      "unraid.notification info Parity check finished",
      FORM,
    ],
  ],
  synology: [
    [
      "a success",
      { text: "Backup of nas was completed without errors." },
      "synology.notification info Backup of nas was completed without errors.",
    ],
    [
      "by GET",
      "",
      "synology.notification info Backup of nas finished",
      { method: "GET", query: "text=Backup+of+nas+finished" },
    ],
    [
      "a warning",
      { text: "Volume 1 is running low on space" },
      "synology.notification warn Volume 1 is running low on space",
    ],
  ],
  "home-assistant": [
    ["resolved", { title: "Water", id: "leak", state: "off" }, "resolved [leak]"],
    [
      "notify by rest",
      { message: "Door open", title: "Door", data: { id: "door", state: "on", severity: "info" } },
      "firing info Door [door]",
    ],
    ["without a state", { message: "Hello\nworld" }, "home-assistant.event info Hello"],
    ["without a severity", { title: "Water", id: "leak", state: "on" }, "firing undefined Water [leak]"],
  ],
  forgejo: [
    [
      "a failed run",
      run("failure"),
      "firing error a/b: Test failed [action_run/a/b/ci.yml/main]",
      { headers: { "x-forgejo-event": "action_run_failure" } },
    ],
    [
      "a recovered run",
      run("success"),
      "resolved [action_run/a/b/ci.yml/main]",
      { headers: { "x-forgejo-event": "action_run_recover" } },
    ],
    [
      "a push of Gitea",
      { ref: "refs/heads/main", head_commit: { message: "Fix\n\nmore" }, repository: { full_name: "a/b" } },
      "forgejo.push info a/b: push: Fix",
      { headers: { "x-gitea-event": "push" } },
    ],
  ],
  gitlab: [
    ["a pipeline that succeeds", GITLAB.pipeline("success"), "resolved [pipeline/a/b/main]"],
    ["a pipeline that is canceled", GITLAB.pipeline("canceled"), "gitlab.pipeline info a/b: pipeline canceled on main"],
    ["a job that fails", GITLAB.job(false), "firing error a/b: job unit failed on main [job/a/b/main/unit]"],
    ["a job that may fail", GITLAB.job(true), "gitlab.build error a/b: job unit failed on main"],
    [
      "a deployment",
      GITLAB.deployment("failed"),
      "firing error a/b: deployment to production failed [deployment/a/b/production]",
    ],
    ["an issue", GITLAB.issue, "gitlab.issue info a/b: issue open: The build is slow"],
  ],
  sentry: [
    [
      "the issue is resolved",
      SENTRY.issue("resolved"),
      "resolved [issue/7]",
      { headers: { "sentry-hook-resource": "issue" } },
    ],
    [
      "a new issue",
      SENTRY.issue("created"),
      "firing critical TypeError [issue/7]",
      { headers: { "sentry-hook-resource": "issue" } },
    ],
    [
      "a metric is critical",
      SENTRY.metric("critical"),
      "firing critical Critical: Errors [metric/5]",
      { headers: { "sentry-hook-resource": "metric_alert" } },
    ],
    [
      "a metric recovers",
      SENTRY.metric("resolved"),
      "resolved [metric/5]",
      { headers: { "sentry-hook-resource": "metric_alert" } },
    ],
    ["the plugin WebHooks", SENTRY.plugin, "firing warning This is an example [issue/27379932]", { headers: {} }],
    ["a comment", { action: "created", data: {} }, "ignored", { headers: { "sentry-hook-resource": "comment" } }],
  ],
  pagerduty: [
    ["acknowledged", pager("incident.acknowledged", { id: "P1", title: "Slow", urgency: "low" }), "acknowledged [P1]"],
    ["resolved", pager("incident.resolved", { id: "P1", title: "Slow" }), "resolved [P1]"],
    [
      "a note",
      pager("incident.annotated", { id: "N", incident: { id: "P1", summary: "Slow" }, content: "Hm" }),
      "pagerduty.incident.annotated info Slow",
    ],
    [
      "a low urgency",
      pager("incident.triggered", { id: "P1", title: "Slow", urgency: "low" }),
      "firing warning Slow [P1]",
    ],
  ],
  jenkins: [
    ["success", jenkins("FINALIZED", "SUCCESS"), "resolved [jenkins/job/web/]"],
    ["unstable", jenkins("FINALIZED", "UNSTABLE"), "firing warning web #4 is unstable [jenkins/job/web/]"],
    ["aborted", jenkins("FINALIZED", "ABORTED"), "jenkins.aborted info web #4 was aborted"],
    ["started", jenkins("STARTED"), "ignored"],
  ],
  argocd: [
    ["healthy", argo({ health: "Healthy" }), "resolved [argocd/web]"],
    ["a failed sync", argo({ health: "Healthy", phase: "Failed" }), "firing error web: Healthy, Synced [argocd/web]"],
    ["progressing", argo({ health: "Progressing" }), "argocd.changed info web: Progressing, Synced"],
  ],
  cloudwatch: [
    ["OK", snsAlarm("OK"), "resolved [arn:aws:cloudwatch:eu-west-1:1:alarm:CPU]"],
    ["no data", snsAlarm("INSUFFICIENT_DATA"), "cloudwatch.insufficient_data warn CPU: INSUFFICIENT_DATA"],
    ["a text", { Type: "Notification", Message: "Disk\nfull", TopicArn: "t" }, "sns.message info Disk"],
    [
      "EventBridge",
      {
        Type: "Notification",
        Message: '{"id":"1","source":"aws.health","detail-type":"AWS Health Event","detail":{}}',
      },
      "aws.health info AWS Health Event",
    ],
  ],
  stripe: [
    [
      "a dispute",
      {
        id: "evt_1",
        object: "event",
        type: "charge.dispute.created",
        livemode: false,
        data: { object: { id: "dp_1" } },
      },
      "stripe.charge.dispute.created error charge dispute created: dp_1 (test)",
    ],
  ],
  cloudevents: [
    [
      "an alert",
      ce({ status: "firing", severity: "critical", title: "Hot" }, { subject: "s1" }),
      "firing critical Hot [s1]",
      { contentType: "application/cloudevents+json" },
    ],
    [
      "binary",
      { level: "error", message: "no stock" },
      "order.failed error order.failed: o1",
      {
        headers: {
          "ce-id": "1",
          "ce-source": "/shop",
          "ce-type": "order.failed",
          "ce-specversion": "1.0",
          "ce-subject": "o1",
        },
      },
    ],
    [
      "a batch",
      [ce({ status: "resolved" }, { subject: "s2" })],
      "resolved [s2]",
      { contentType: "application/cloudevents-batch+json" },
    ],
  ],
  standardwebhooks: [
    ["an alert", { type: "disk.full", data: { id: "d", status: "firing", name: "Disk" } }, "firing undefined Disk [d]"],
  ],
  apprise: [["the body of its API", { body: "Hello", title: "T", type: "info", tag: "ops" }, "apprise.info info T"]],
};
