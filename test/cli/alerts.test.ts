import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { valuesOf } from "../helpers/values.ts";
import { runCli, runJson } from "./run-cli.ts";

test("prism alerts, incidents, silences, oncall, heartbeats, policies and routes", async (t) => {
  const prism = await startPrism(t);
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const run = async (command: string, ...more: string[]): Promise<string> => {
    const { status, stdout, stderr } = await runCli([...command.split(" "), ...more], options);
    assert.equal(status, 0, `${command}: ${stderr}`);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, `${command}: ${line}`);
    return stdout;
  };

  await t.test("an alert opens an incident, which is explained, acknowledged and resolved by its number", async () => {
    assert.match(await run("alerts fire alertname=DiskFull instance=db-2", "--key", "disk"), /opened\n$/);
    await eventually("notified", async () => (await run("incidents show 1")).includes("Step 1 notified"));
    assert.match(await run("alerts list"), /instance=db-2/);
    assert.match(await run("alerts show disk"), /incident 1, open: DiskFull/);
    assert.match(await run("incidents list"), /^1 +open +- +\d{4}-.* DiskFull$/m);
    assert.match(await run("incidents explain 1"), /is a member of the project[\s\S]*1 person was notified/);
    await makeUser(prism, "zoe");
    const named = await run("incidents explain 1 --user zoe");
    assert.match(named, /zoe/);
    const [incident] = (await prism.get<{ data: { id: string }[] }>("/api/v1/incidents")).body.data;
    assert.match(await run(`explain ${incident?.id} --user zoe`), /zoe/);
    assert.match(await run("alerts explain disk"), /Incident 1: 1 person was\s+notified/);
    assert.match(await run("alerts explain alertname=Other"), /would open an incident/);
    const at = (
      await runJson<{ at: string }>(["alerts", "explain", "alertname=Other", "--at", "2030-01-02T03:04:05Z"], options)
    ).at;
    assert.equal(Date.parse(at), Date.parse("2030-01-02T03:04:05Z"));
    assert.match(await run("incidents ack 1", "--note", "I am on it"), /^1 {2}acknowledged/);
    assert.match(await run("incidents unack #1"), /^1 {2}open/);
    assert.match(await run("incidents snooze 1 --for 1h"), /^1 {2}snoozed/);
    assert.match(
      await run("alerts explain alertname=DiskFull instance=db-2"),
      /joins incident 1 \(open, snoozed until [\s\S]*no\s+one\s+would\s+be\s+notified\s+before, unless/,
    );
    assert.match(await run("incidents unsnooze 1"), /^1 {2}open/);
    await run("incidents escalate 1");
    await run("incidents note 1", "Called the data centre");
    assert.match(await run("incidents show 1"), /first in 30 days[\s\S]*noted: Called the data centre/);
    const silence = await runJson<{ id: string }>(
      ["silences", "add", "--incident", "1", "--comment", "New disks"],
      options,
    );
    assert.match(await run("silences list"), /active/);
    assert.match(await run(`silences show ${silence.id}`), /New disks/);
    const recurrence = { cron: "0 22 * * 6", until: "06:00", timezone: "UTC" };
    const weekly = { matchers: ['team="db"'], comment: "Patch day", recurrence };
    const { body } = await answered(201, prism.post<{ id: string }>("/api/v1/silences", weekly));
    const shown = await run(`silences show ${body.id}`);
    assert.match(
      shown,
      /\n {2}recurs every Saturday at 22:00 until 06:00, UTC\n( {2}(now |next) {2}\S+ \S+ to \S+ \S+\n){3}/,
    );
    await run(`silences expire ${body.id}`);
    assert.match(await run("silences preview", 'instance="db-2"'), /^1 firing alert matches$/m);
    await run(`silences expire ${silence.id}`);
    assert.match(await run("incidents resolve --all-open --yes"), /^1 incidents changed/);
    assert.equal(await run("incidents list"), "no open incidents\n");
    assert.equal(await run("alerts list"), "no alerts\n");
    await run("alerts fire alertname=DiskFull instance=db-3", "--key", "disk again");
    const [again] = (await prism.get<{ data: { number: number }[] }>("/api/v1/incidents?limit=1")).body.data;
    const before = await run(`incidents show ${again?.number}`);
    assert.match(before, /2nd in 30 days, median \d+ (s|min); before:\n.*\n {4}1, resolved( by \S+)? after \d+ /);
    assert.match(before, /Note: Called the data centre/);
    const detail = await runJson<{ earlier: { count: number; last: { number: number }[] } }>(
      ["incidents", "show", String(again?.number)],
      options,
    );
    assert.deepEqual([detail.earlier.count, valuesOf(detail.earlier.last, "number")], [1, [1]]);
    await run("incidents resolve --all-open --yes");
    await run("alerts fire alertname=Fan --key fan --severity critical");
    const fan = await runJson<{ labels: Record<string, string>; severity: string }>(["alerts", "show", "fan"], options);
    assert.deepEqual([fan.labels["severity"], fan.severity], ["critical", "critical"], "routes match the label");
  });

  await t.test("who is on call", async () => {
    await answered(201, prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Database", timezone: "UTC" }));
    assert.match(await run("oncall now"), /^Database +no one/m);
    await run("oncall override Database --user me --to 8h");
    assert.doesNotMatch(await run("oncall now"), /no one/);
    assert.match(await run("oncall next"), /^Database +no one/m);
    assert.match(await run("oncall schedules"), /UTC +Database/);
    assert.match(await run("oncall shifts Database"), /^FROM/);
    assert.match(await run("oncall gaps Database"), /^FROM/);
  });

  await t.test("times of on-call are those of the schedule's zone, with the offset", async () => {
    const zone = { name: "Kolkata", timezone: "Asia/Kolkata" };
    await answered(201, prism.post<{ id: string }>("/api/v1/oncall/schedules", zone));
    const [from, to] = ["2040-01-02T03:30:00Z", "2040-01-03T03:30:00Z"];
    const shown = "2040-01-02 09:00 +05:30";
    const override = await run(`oncall override Kolkata --user me --from ${from} --to ${to}`);
    assert.ok(override.includes(`${shown} to 2040-01-03 09:00 +05:30`), override);
    const shifts = await run(`oncall shifts Kolkata --from ${from} --to 2040-01-04T00:00:00Z`);
    assert.ok(shifts.includes(`\n${shown}  2040-01-03 09:00 +05:30  `), shifts);
    assert.match(await run("oncall now"), /^Database .* \+00:00$/m);
  });

  await t.test("days off, who is on call on them, and the warning of an override", async () => {
    const today = Date.now();
    const day = (days: number): string => new Date(today + days * 86_400_000).toISOString().slice(0, 10);
    assert.equal(await run("oncall days-off"), "no days off\n");
    const warned = await run(`oncall add-days-off ${day(0)} ${day(1)}`, "--note", "Family");
    assert.match(warned, new RegExp(`${day(0)} to ${day(1)} .*\\nwarning: .* is away, on call .*: Database`));
    assert.match(await run("oncall conflicts"), /^Database .* -$/m);
    assert.match(await run("oncall conflicts Database --user me --to 2d"), /^Database /m);
    assert.match(await run("oncall now"), new RegExp(`\\(away to ${day(1)}\\)`));
    assert.match(await run("oncall override Database --user me --to 1h"), /\nwarning: /);
    const later = await runJson<{ id: string; warnings: unknown[] }>(["oncall", "add-days-off", day(9)], options);
    assert.deepEqual(later.warnings, []);
    assert.match(
      await run(`oncall change-days-off ${day(9)} --last ${day(10)}`),
      new RegExp(`${day(9)} to ${day(10)}`),
    );
    const all = await runJson<{ data: { note: string }[] }>(["oncall", "days-off", "--schedule", "Database"], options);
    assert.deepEqual(valuesOf(all.data, "note"), ["Family", ""]);
    for (const id of [day(0), later.id.slice(0, 34)])
      assert.match(await run(`oncall delete-days-off ${id}`), / {2}deleted\n$/);
    assert.equal(await run("oncall conflicts"), "no conflicts\n");
  });

  await t.test("people are paged, added and given incidents", async () => {
    const page = await runJson<{ number: number; title: string; direct: { message: string } }>(
      ["page", "me", "The shop is slow\nCan you look?", "--urgency", "low", "--policy", "default"],
      options,
    );
    assert.deepEqual([page.title, page.direct.message], ["The shop is slow", "The shop is slow\nCan you look?"]);
    const number = String(page.number);
    assert.match(await run(`incidents add-responder ${number} me --schedule Database --note helps`), / {2}open {2}/);
    assert.match(await run(`incidents reassign ${number} me`), / {2}open {2}The shop is slow/);
    assert.match(await run(`incidents show ${number}`), /assigned it to/);
    await run(`incidents resolve ${number}`);
    assert.match(await run("page me", "Done"), / {2}open {2}Done/);
    const other = (await runJson<{ number: number }>(["page", "me", "Other"], options)).number;
    const both = await runCli(["incidents", "ack", String(other - 1), "99", String(other), "x"], options);
    assert.equal(both.status, 6, both.stderr);
    assert.match(both.stdout, /^\d+ {2}acknowledged {2}Done\n\d+ {2}acknowledged {2}Other\n$/);
    assert.match(
      both.stderr,
      /2 of 4 incidents not changed:\n {2}99: there is no incident 99\n {2}x: x is not the number/,
    );
    const snoozed = await runJson<{ incidents: { number: number }[]; errors: unknown[] }>(
      ["incidents", "snooze", String(other - 1), String(other), "--for", "1h"],
      options,
    );
    assert.deepEqual([valuesOf(snoozed.incidents, "number"), snoozed.errors], [[other - 1, other], []]);
    await run("incidents resolve --all-open --yes");
  });

  await t.test("heartbeats, policies and routes", async () => {
    assert.match(await run("heartbeats create", "Nightly backup", "--every", "1h"), /\/ping\//);
    assert.match(await run("heartbeats ping nightly-backup"), / {2}up {2}/);
    assert.match(await run("heartbeats ping nightly-backup --as fail"), / {2}down {2}/);
    assert.match(await run("heartbeats pause nightly-backup"), / {2}paused {2}/);
    await run("heartbeats resume nightly-backup");
    assert.match(await run("heartbeats list"), /Nightly backup/);
    assert.match(await run("heartbeats show nightly-backup"), /slug nightly-backup/);
    await run("heartbeats delete nightly-backup --yes");
    await run("heartbeats create", "Prometheus", "--fed-by", 'alertname="Watchdog"');
    assert.match(
      await run("heartbeats show prometheus"),
      /every 300 s, slug prometheus\n {2}fed by alertname="Watchdog"/,
    );
    const file = join(prism.dir, "policies.json");
    writeFileSync(file, JSON.stringify({ name: "Night", steps: [{ type: "notify", members: true }] }));
    assert.equal(await run(`policies import ${file}`), "Night  version 1\n");
    writeFileSync(file, await run("policies export"));
    assert.match(await run(`policies import ${file}`), /^Night {2}version 1$/m);
    assert.match(await run("policies list"), /notify +Night/);
    assert.match(await run("policies show Night"), /"name": "Night"/);
    assert.match(
      await run("routes test team=db"),
      /^goes to the policy default \(built in\): notifies the members of the project\n {2}by the root route\n$/,
    );
    const routes = join(prism.dir, "routes.json");
    writeFileSync(routes, JSON.stringify({ route: { policy: "Night", groupBy: ["alertname"] } }));
    assert.equal(await run(`routes set ${routes}`), "version 1\n");
    writeFileSync(routes, await run("routes show"));
    assert.equal(await run(`routes set ${routes}`), "version 1\n");
    const idle = JSON.stringify({ route: { policy: "Night", routes: [{ matchers: ['team="idle"'] }] } });
    writeFileSync(routes, idle);
    await run(`routes set ${routes}`);
    const traffic = await run("routes show --traffic");
    assert.match(traffic, /^MATCHED {2}ROUTE -> POLICY\n +[1-9]\d* {2}\{\} -> Night\n/);
    assert.match(
      traffic,
      /\n +0 {4}\{team="idle"\} -> Night {2}matched nothing in 7 days\n[1-9]\d* alerts? in 7 days\n$/,
    );
    writeFileSync(routes, JSON.stringify({ route: { policy: "Night", groupBy: ["alertname"] } }));
    await run(`routes set ${routes}`);
    assert.equal(
      await run("routes test team=db alertname=Fan"),
      'goes to the policy Night\n  by the root route\n  one incident for alertname="Fan"\n',
    );
  });

  await t.test("exit codes", async () => {
    for (const [args, status] of [
      ["incidents show 99", 6],
      ["incidents ack x", 2],
      ["incidents ack", 2],
      ["incidents resolve 1 2 --all-open", 2],
      ["alerts explain DiskFull --at 1h", 2],
      ["page nobody text", 6],
      ["incidents add-responder 1", 2],
      ["silences add", 2],
      ["alerts fire nothing", 2],
      ["alerts show nothing", 6],
      ["policies show nothing", 6],
      ["incidents snooze 1 --for 1h", 7],
    ] as const)
      assert.equal((await runCli(args.split(" "), options)).status, status, args);
  });
});

test("lists show severities, the most severe alert first, and times of the terminal's zone", async (t) => {
  const prism = await startPrism(t);
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const alerts = ["info", "critical", "warning"].map((severity) => ({
    key: severity,
    labels: { alertname: severity, severity },
  }));
  assert.equal((await prism.post("/api/v1/alerts", { alerts })).status, 200);
  const { stdout } = await runCli(["alerts", "list"], options);
  const severities = stdout.split("\n").flatMap((line) => /(critical|warning|info) +\w+=/.exec(line)?.[1] ?? []);
  assert.deepEqual(severities, ["critical", "warning", "info"]);
  await eventually("an incident", async () => {
    const { stdout: incidents } = await runCli(["incidents", "list"], options);
    return /^\d+ +open +critical +\d{4}-\d\d-\d\d \d\d:\d\d +\d/m.test(incidents);
  });
  const { stdout: notes } = await runCli(["notifications", "list"], options);
  assert.doesNotMatch(notes, /\dT\d\d:/);
});
