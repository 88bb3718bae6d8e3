import assert from "node:assert/strict";
import test from "node:test";
import type { MirrorReport } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { fakeOnCall, TOKEN } from "../remote/import/oncall-server.ts";
import { runCli, runJson } from "./run-cli.ts";

const HOUR = 3_600_000;

test("prism mirror report says what differs, in three forms, and ends with 8 while anything is missing", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const settings = { mirror: { from: "oncall" } };
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/projects", { name: "Shop", settings }));
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const report = (words: string) => runCli(["mirror", "report", ...words.split(" ").filter(Boolean)], options);

  const none = await report("");
  assert.equal(none.status, 0, none.stderr);
  assert.match(
    none.stdout,
    /^Default beside no other system, .*\nthe project is no mirror \(settings\.mirror\), and nothing/,
  );
  const empty = await report("--project shop");
  assert.match(empty.stdout, /\nnothing was observed of oncall in this time; prism docs mirror says/);

  const keys = await answered(
    201,
    prism.post<{ key: string }>(`/api/v1/projects/${made.body.id}/keys`, { scopes: ["mirror:observe"] }),
  );
  const observation = {
    ...{ ref: "1", kind: "notified", at: new Date(Date.now() - HOUR).toISOString(), person: "ann", way: "sms" },
    ...{ labels: { alertname: "Disk|full" }, title: "Disk [full](http://evil.example) \u001b[2J" },
  };
  await answered(200, prism.post("/api/v1/mirror/observed", [observation], { token: keys.body.key }));

  const projectId = made.body.id;
  const fields = { url: "http://127.0.0.1:9/hook" };
  const room = { projectId, preset: "http", fields };
  for (const more of [
    { name: "Ops" },
    { name: "Alarms", eventTypes: ["incident.*"] },
    { name: "Loud", minPriority: 900 },
  ])
    await answered(201, prism.post("/api/v1/channels", { ...room, ...more }));
  assert.doesNotMatch((await report("--project shop")).stdout, /on-call notices/);
  await answered(201, prism.post("/api/v1/oncall/schedules", { projectId, name: "Duty", timezone: "UTC" }));

  const missing = await report("--project shop");
  assert.equal(missing.status, 8, missing.stderr);
  const [head, summary, line, sides] = missing.stdout.split("\n");
  assert.match(head ?? "", /^Shop beside oncall, /);
  assert.equal(summary, "1 alarm, 1 notice: 0 the same within a minute, 1 missing");
  assert.match(line ?? "", / {2}missing {9}Disk \[full\]/);
  assert.equal(sides, "    oncall: ann by sms; Prism: nobody (Prism has no such alarm)");
  assert.match(missing.stdout, /^1 room also gets on-call notices \(Ops\): eventTypes incident\.\* has alarms alone$/m);
  assert.ok(!missing.stdout.includes("\u001b"), "texts of alarms do not reach the terminal");

  const markdown = await report("--project shop --format markdown");
  assert.equal(markdown.status, 8);
  assert.match(markdown.stdout, /^\*\*Shop beside oncall.*\*\*\n\n1 alarm, 1 notice: /);
  assert.ok(!markdown.stdout.includes("[full](http://evil"), markdown.stdout);
  assert.match(markdown.stdout, /\/dashboard\/policies\/routes\?project=shop&labels=/);

  for (const words of ["--project shop --format json", "--project shop --json"]) {
    const { stdout, status } = await report(words);
    const { counts, lines } = JSON.parse(stdout) as MirrorReport;
    assert.deepEqual([status, counts.missing, lines[0]?.old?.person], [8, 1, "ann"]);
  }
  const later = await report("--project shop --from 10m");
  assert.deepEqual([later.status, /nothing was observed of oncall/.test(later.stdout)], [0, true]);
});

test("prism mirror pull reports the alert groups of an OnCall, once, and by GET alone", async (t) => {
  const oncall = await fakeOnCall(t);
  const prism = await startPrism(t);
  const settings = { mirror: { from: "oncall" } };
  const { body: project } = await answered(
    201,
    prism.post<{ id: string }>("/api/v1/projects", { name: "Shop", settings }),
  );
  const alerts = [{ labels: { alertname: "DiskFull", team: "db", oncall: "Prometheus" } }];
  await answered(200, prism.post("/api/v1/alerts", { projectId: project.id, alerts }));
  const incidentOf = async () => (await prism.get<{ data: { state: string }[] }>("/api/v1/incidents")).body.data[0];
  await eventually("the incident is there", incidentOf);
  const { body } = await answered(
    201,
    prism.post<{ key: string }>(`/api/v1/projects/${project.id}/keys`, { scopes: ["mirror:observe"] }),
  );
  const ago = (ms: number) => new Date(Date.now() - ms).toISOString().replace("Z", "123Z");
  const group = { integration_id: "I1", alerts_count: 1, acknowledged_at: null, resolved_at: null, title: "Disk" };
  const payload = { alerts: [{ labels: { alertname: "DiskFull", team: "db" } }] };
  oncall.groups = [
    { ...group, id: "G1", created_at: ago(1000), acknowledged_at: ago(0), last_alert: { payload } },
    {
      ...group,
      id: "G2",
      created_at: ago(2 * HOUR),
      resolved_at: ago(HOUR),
      title: "Latency",
      last_alert: { payload: "x" },
    },
    ...[30, 40, 50, 60, 70].map((hours) => ({ ...group, id: `G${hours}`, created_at: ago(hours * HOUR) })),
  ];
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: body.key, PRISM_IMPORT_TOKEN: TOKEN };
  const words = ["mirror", "pull", "oncall", "--from-url", oncall.url];
  const pulled = await runJson(words, { cwd: prism.dir, env });
  assert.deepEqual(pulled, { stored: 4, known: 0, acknowledged: 1, resolved: 0 });
  assert.equal((await incidentOf())?.state, "acknowledged");
  assert.deepEqual(
    oncall.requests.map(({ method, path }) => `${method} ${path}`),
    ["GET", "GET"].map((method) => `${method} /oncall/api/v1/alert_groups/`),
    "pages of older groups are not read",
  );
  const again = await runCli(words, { cwd: prism.dir, env });
  assert.equal(again.stdout, "0 new, 4 known; acknowledged here: 0, resolved: 0\n");
  const asAdmin = await runCli(words, { cwd: prism.dir, env: { ...env, PRISM_TOKEN: prism.adminToken } });
  assert.deepEqual([asAdmin.status, /mirror:observe/.test(asAdmin.stderr)], [5, true]);
  oncall.forbidden = "alert_groups";
  const forbidden = await runCli(words, { cwd: prism.dir, env });
  assert.deepEqual([forbidden.status, /may not read alert groups/.test(forbidden.stderr)], [5, true]);
  const options = { cwd: prism.dir, env: { ...env, PRISM_TOKEN: prism.adminToken } };
  const report = await runCli(["mirror", "report", "--project", "shop"], options);
  assert.match(report.stdout, /missing +Latency/);
});
