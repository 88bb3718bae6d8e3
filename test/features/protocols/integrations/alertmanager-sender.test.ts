// needs: prometheus-alertmanager
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { ChildOutput } from "../../../helpers/child-output.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { lastingPort } from "../../../helpers/free-ports.ts";
import { type Alert, IntegrationTest } from "./support.ts";

const PROGRAM = "prometheus-alertmanager";

/** Debian's Alertmanager with one receiver. @returns its address; undefined where it is not installed */
async function startAlertmanager(t: TestContext, dir: string, receiver: string): Promise<string | undefined> {
  if (spawnSync(PROGRAM, ["--version"]).error) {
    if (process.env["CI"]) throw new Error(`the gate needs ${PROGRAM}`);
    t.diagnostic(`NOT CHECKED: no ${PROGRAM}`);
    return undefined;
  }
  const data = join(dir, "alertmanager");
  mkdirSync(data);
  const file = join(data, "alertmanager.yml");
  const route = "{ receiver: prism, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }";
  writeFileSync(file, `route: ${route}\nreceivers:\n  - name: prism\n${receiver}`);
  const port = await lastingPort();
  const child = spawn(PROGRAM, [
    `--config.file=${file}`,
    `--storage.path=${data}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--cluster.listen-address=",
  ]);
  const output = new ChildOutput(child);
  t.after(async () => {
    await output.stop();
    rmSync(data, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(
    () => `Alertmanager is ready: ${output.all}`,
    () =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
  );
  return url;
}

/** As Prometheus does: fires, and resolves when the end is over. */
async function post(url: string, endsAt?: string): Promise<void> {
  const labels = { alertname: "DiskFull", instance: "db-2", severity: "critical" };
  const alert = { labels, annotations: { summary: "The disk is full" }, ...(endsAt && { endsAt }) };
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify([alert]) };
  assert.equal((await fetch(`${url}/api/v2/alerts`, init)).status, 200);
}

async function firesAndResolves(it: IntegrationTest, url: string): Promise<Alert> {
  await post(url);
  const alert = await eventually("an alert", async () => (await it.alerts())[0]);
  await post(url, new Date(Date.now() - 1000).toISOString());
  await eventually("its end", async () => (await it.alerts("resolved")).some(({ id }) => id === alert.id));
  assert.deepEqual(await it.alerts(), []);
  return alert;
}

test("Alertmanager with pagerduty_url sends to an integration: fires and resolves", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty", { team: "db" });
  const receiver = `    pagerduty_configs:
      - routing_key: ${it.integration.key}
        url: ${it.prism.url}/v2/enqueue
        class: disk
        send_resolved: true
`;
  const url = await startAlertmanager(t, it.prism.dir, receiver);
  if (url === undefined) return;
  const { labels, annotations } = await firesAndResolves(it, url);
  assert.match(labels["alertname"] ?? "", /^DiskFull/);
  assert.deepEqual([labels["team"], labels["class"]], ["db", "disk"]);
  assert.match(annotations["details"] ?? "", /"num_firing":"1"/);
});

test("Alertmanager with opsgenie_api_url creates, updates and closes alerts of an integration", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  const receiver = `    opsgenie_configs:
      - api_key: ${it.integration.key}
        api_url: ${it.prism.url}/
        message: '{{ .CommonLabels.alertname }} on {{ .CommonLabels.instance }}'
        priority: P1
        tags: disk,db
        update_alerts: true
        details: { runbook: 'https://runbook.example' }
        responders: [{ name: database, type: team }]
`;
  const url = await startAlertmanager(t, it.prism.dir, receiver);
  if (url === undefined) return;
  const { labels, annotations } = await firesAndResolves(it, url);
  assert.deepEqual(
    [labels["alertname"], labels["priority"], labels["instance"], labels["runbook"], labels["team"]],
    ["DiskFull on db-2", "P1", "db-2", "https://runbook.example", "database"],
  );
  assert.equal(annotations["tags"], "disk,db");
});
