import assert from "node:assert/strict";
import test from "node:test";
import type { MirrorReport } from "../../src/client/api-types.gen.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { runCli } from "./run-cli.ts";

const HOUR = 3_600_000;

test("prism mirror report says what differs, in three forms, and ends with 8 while anything is missing", async (t) => {
  const prism = await startPrism(t);
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
  const fields = { url: "https://rooms.example/hook" };
  const room = { projectId, preset: "http", fields };
  for (const more of [{ name: "Ops" }, { name: "Alarms", eventTypes: ["incident.*"] }, { name: "Loud", minPriority: 900 }])
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
