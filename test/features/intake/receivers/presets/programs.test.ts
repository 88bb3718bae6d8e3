// needs: apprise
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test, { type TestContext } from "node:test";
import { ChildOutput } from "../../../../helpers/child-output.ts";
import { eventually } from "../../../../helpers/eventually.ts";
import { rowsWith } from "../../../../helpers/values.ts";
import { startAlertmanager, startPrometheus } from "../../../protocols/alertmanager/support/programs.ts";
import { type Made, ReceiverTest } from "../support.ts";
import { SECRET } from "./support/sign.ts";

/** Alertmanager that sends at once, with a password. */
function alertmanagerConfig({ url }: Made): string {
  return `
route: { receiver: prism, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }
receivers:
- name: prism
  webhook_configs:
  - url: ${url}
    http_config: { basic_auth: { username: alertmanager, password: "${SECRET}" } }
`;
}

/** Fires while the file of rules has the alert. */
function prometheusFiles(alertmanager: string) {
  const rule = "{ alert: Held, expr: vector(7) > 5, labels: { severity: page, team: web }";
  const notes = 'annotations: { summary: "Load is {{ $value }}", description: "Look at the graph" } }';
  return {
    "prometheus.yml": `
global: { evaluation_interval: 100ms, external_labels: { cluster: test } }
rule_files: [ rules.yml ]
alerting: { alertmanagers: [ { static_configs: [ { targets: [ "${new URL(alertmanager).host}" ] } ] } ] }
`,
    "rules.yml": `groups: [ { name: g, rules: [ ${rule}, ${notes} ] } ]\n`,
  };
}

async function postAlerts(alertmanager: string, alerts: readonly object[]): Promise<void> {
  const reply = await fetch(`${alertmanager}/api/v2/alerts`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(alerts),
  });
  assert.equal(reply.status, 200, await reply.text());
}

test("alerts of Debian's Prometheus and Alertmanager open and resolve alerts", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ name: "Cluster", preset: "alertmanager", secret: SECRET, labels: { from: "am" } });
  const alertmanager = await startAlertmanager(t, alertmanagerConfig(receiver));
  await startPrometheus(t, prometheusFiles(alertmanager), ["--rules.alert.resend-delay=1s"]);
  const held = await eventually("the alert of Prometheus fires", async () => {
    const alerts = await it.alerts();
    return alerts.find(({ labels }) => labels["alertname"] === "Held");
  });
  const { labels, annotations, generatorUrl } = held;
  assert.deepEqual(labels, {
    ...{ alertname: "Held", cluster: "test", from: "am", receiver: "Cluster", severity: "page", team: "web" },
  });
  assert.deepEqual(annotations, { summary: "Load is 7", description: "Look at the graph" });
  assert.match(String(generatorUrl), /\/graph\?g0\.expr=/);

  const disk = { labels: { alertname: "Disk", instance: "db-1" }, annotations: { summary: "Disk of db-1 is full" } };
  const other = { labels: { alertname: "Disk", instance: "db-2" }, annotations: { summary: "Disk of db-2 is full" } };
  await postAlerts(alertmanager, [disk, other]);
  const instances = async () => {
    const alerts = await it.alerts();
    return alerts.flatMap((alert) => alert.labels["instance"] ?? []).sort();
  };
  await eventually("both of one group fire", async () => (await instances()).join() === "db-1,db-2");
  await postAlerts(alertmanager, [{ ...disk, endsAt: new Date().toISOString() }]);
  await eventually("one of them resolves", async () => (await instances()).join() === "db-2");
  const requests = await it.requests(receiver);
  const found = requests.filter(({ result }) => result !== "accepted");
  assert.deepEqual(found, []);
});

async function apprise(url: string, ...parameters: readonly string[]): Promise<void> {
  const child = spawn("apprise", ["-vv", ...parameters, url], { stdio: "pipe" });
  const output = new ChildOutput(child);
  const { code } = await output.ended;
  assert.equal(code, 0, output.stdout + output.stderr);
}

/** The URL of a receiver in Apprise's form. */
function appriseUrl({ url }: Made, service: string, query = ""): string {
  const { host, pathname } = new URL(url);
  return `${service}://prism:${encodeURIComponent(SECRET)}@${host}${pathname}${query}`;
}

async function startApprise(t: TestContext) {
  const it = await ReceiverTest.start(t);
  return { it, receiver: await it.make({ preset: "apprise", secret: SECRET }) };
}

test("Debian's apprise sends events as JSON, as a form and as XML", async (t) => {
  const { it, receiver } = await startApprise(t);
  const text = ["-t", "Backup & <restore>", "-b", "No space left\non /mnt"];
  const kinds = { json: "warning", form: "failure", xml: "success" };
  for (const [service, kind] of Object.entries(kinds))
    await apprise(appriseUrl(receiver, service), ...text, "-n", kind);
  const events = (await it.events()).filter(({ type }) => type.startsWith("apprise."));
  assert.deepEqual(rowsWith(events, "type", "level"), [
    ["apprise.warning", "warn"],
    ["apprise.failure", "error"],
    ["apprise.success", "info"],
  ]);
  for (const { type, payload } of events) {
    const isSuccess = type === "apprise.success";
    assert.equal(payload["title"], isSuccess ? "Backup & <restore>: success" : "Backup & <restore>");
    assert.equal(payload["message"], "No space left\non /mnt");
  }
});

test("Debian's apprise opens and resolves alerts with an id in its URL", async (t) => {
  const { it, receiver } = await startApprise(t);
  const url = appriseUrl(receiver, "json", "?:id=backup");
  await apprise(url, "-t", "Backup failed", "-b", "No space left", "-n", "failure");
  const rows = (await it.alerts()).map(({ annotations, labels }) => [annotations["summary"], labels["severity"]]);
  assert.deepEqual(rows, [["Backup failed", "error"]]);
  await apprise(url, "-t", "Backup done", "-b", "It worked", "-n", "success");
  assert.deepEqual(await it.alerts(), []);
});

test("Debian's apprise fails with another password", async (t) => {
  const { it, receiver } = await startApprise(t);
  const url = appriseUrl(receiver, "json").replace(encodeURIComponent(SECRET), "another");
  const child = spawn("apprise", ["-b", "Hello", url], { stdio: "pipe" });
  assert.notEqual((await new ChildOutput(child).ended).code, 0);
  assert.equal((await it.requests(receiver))[0]?.result, "refused");
});
