import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { parse } from "yaml";
import { UNPRINTABLE } from "../../../src/core/text/clean-text.ts";
import { matcherText } from "../../../src/features/alerts/model/matchers.ts";
import { writeImported } from "../../../src/remote/import/files.ts";
import { HttpSource } from "../../../src/remote/import/http-source.ts";
import {
  type GrafanaOnCall,
  type OnCallIntegration,
  type OnCallRoute,
  readOnCall,
} from "../../../src/remote/import/oncall/read.ts";
import { labelsOf } from "../../../src/remote/import/oncall/routes.ts";
import { writeOnCall } from "../../../src/remote/import/oncall/write.ts";
import { runCli } from "../../cli/run-cli.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { ALERTMANAGER_TOKEN, type FakeOnCall, fakeOnCall, SECRETS, TOKEN } from "./oncall-server.ts";

const env = { PRISM_IMPORT_TOKEN: TOKEN };

async function imported(t: TestContext, fake: FakeOnCall, ...flags: string[]) {
  const folder = temporaryDir(t);
  const run = (...more: string[]) =>
    runCli(["import", "oncall", "--from-url", fake.url, "--out", "out", ...flags, ...more], { cwd: folder, env });
  const result = await run();
  return { folder, out: join(folder, "out"), run, result };
}

const textsIn = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), "utf8")]),
  );

interface Report {
  readonly proofs: { name: string; form: string; boundaries: number; differences: { cause: string }[] }[];
  readonly rows: { kind: string; name: string; outcome: string; text: string }[];
}
const reportIn = (folder: string) => JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as Report;

test("an OnCall becomes files that pass prism check, by GET alone, without a secret in them", async (t) => {
  const fake = await fakeOnCall(t);
  const { folder, out, result, run } = await imported(t, fake, "--record", "recorded");
  assert.equal(result.status, 8, result.stderr);
  assert.ok(fake.requests.length > 20);
  assert.deepEqual([...new Set(fake.requests.map(({ method }) => method))], ["GET"]);
  const texts = textsIn(out);
  for (const [name, text] of Object.entries(texts))
    for (const secret of SECRETS)
      if (name !== "import-secrets.env") assert.ok(!text.includes(secret), `${secret} in ${name}`);
  assert.match(texts["import-secrets.env"] ?? "", new RegExp(ALERTMANAGER_TOKEN));
  assert.equal(statSync(join(out, "import-secrets.env")).mode & 0o777, 0o600);

  const checked = await runCli(["check", "-f", "out", "--json"], { cwd: folder, env: {} });
  const { problems, tests } = JSON.parse(checked.stdout) as {
    problems: unknown[];
    tests: { name: string; failures: string[] }[];
  };
  assert.deepEqual(problems, []);
  assert.deepEqual(
    tests.filter(({ failures }) => failures.length > 0),
    [],
  );
  assert.equal(checked.status, 0, checked.stderr);
  assert.ok(tests.length >= 12);
  const { tests: written } = parse(texts["tests.yaml"] ?? "") as {
    tests: { name: string; expect: { pages?: unknown[] } }[];
  };
  assert.ok(written.filter(({ expect }) => (expect.pages?.length ?? 0) >= 3).length >= 3);

  const { proofs, rows } = reportIn(out);
  assert.deepEqual(
    proofs.map(({ name, form, differences }) => [name, form, differences.length]),
    [
      ["Primary", "exact, Europe/Berlin", 0],
      ["Made in the page", "exact, UTC", 0],
    ],
  );
  assert.ok(proofs.every(({ boundaries }) => boundaries > 15));
  const said = rows.map(({ kind, name, outcome }) => `${outcome}: ${kind} ${name}`);
  for (const row of [
    "not taken: route Jobs, 1",
    "not taken: integration Direct paging",
    "not taken: escalation chain Default",
    "not taken: schedule Calendar",
    "not taken: webhook Templated",
    "changed: schedule Made in the page",
    "changed: integration Jobs",
    "to do: webhook Ticket",
    "to do: person ada",
    'not taken: integration Prometheus "main" 🔥',
    'to do: integration Prometheus "main" 🔥',
  ])
    assert.ok(said.includes(row), `${row} of\n${said.join("\n")}`);
  assert.equal(rows[0]?.kind, "route");
  assert.doesNotMatch(texts["report.md"] ?? "", /<b>|\u202e/);

  const before = textsIn(out);
  const again = await run("--from-recording", "recorded");
  assert.equal(again.status, 8, again.stderr);
  // Recorded answers have other tokens.
  for (const [name, text] of Object.entries(textsIn(out)))
    if (name !== "import-secrets.env") assert.equal(text, before[name]);
  const recorded = Object.values(textsIn(join(folder, "recorded"))).join("");
  for (const secret of SECRETS) assert.ok(!recorded.includes(secret), secret);
  const twice = textsIn(out);
  await run("--from-recording", "recorded");
  assert.deepEqual(textsIn(out), twice);
});

test("a schedule that differs follows the calendar of OnCall; --accept writes it", async (t) => {
  const fake = await fakeOnCall(t);
  fake.shiftedBy = 2 * 3_600_000;
  const { folder, out, result } = await imported(t, fake, "--accept", "Made in the page");
  assert.equal(result.status, 8, result.stderr);
  const [primary, page] = reportIn(out).proofs;
  assert.equal(primary?.form, "follow");
  assert.match(page?.form ?? "", /accepted/);
  assert.ok((primary?.differences.length ?? 0) > 10 && (page?.differences.length ?? 0) > 2);
  const text = readFileSync(join(out, "duty-team.yaml"), "utf8");
  assert.match(text, /# {6}- name: Weeks|#\s+- name: Weeks/);
  const { projects } = parse(text) as {
    projects: { oncall: { name: string; shifts?: unknown; calendarUrl?: { env: string } }[] }[];
  };
  const [first, second] = projects[0]?.oncall ?? [];
  assert.deepEqual([first?.shifts, second?.calendarUrl], [undefined, undefined]);
  assert.match(first?.calendarUrl?.env ?? "", /^PRISM_SECRET_CALENDAR_/);
  assert.match(readFileSync(join(out, "import-secrets.env"), "utf8"), new RegExp(`# ${first?.calendarUrl?.env}=\n`));
  const checked = await runCli(["check", "-f", "out"], { cwd: folder, env: {} });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
});

test("--local-times writes the shifts of a page by the clocks of the schedule, with the hours that differ", async (t) => {
  const fake = await fakeOnCall(t);
  const { out, result } = await imported(t, fake, "--local-times", "Made in the page");
  assert.equal(result.status, 8, result.stderr);
  const proof = reportIn(out).proofs.find(({ name }) => name === "Made in the page");
  assert.match(proof?.form ?? "", /local times, Europe\/Berlin/);
  const { projects } = parse(readFileSync(join(out, "duty-team.yaml"), "utf8")) as {
    projects: { oncall: { name: string; shifts: { start: string; timezone?: string }[] }[] }[];
  };
  const [shift] = projects[0]?.oncall.find(({ name }) => name === "Made in the page")?.shifts ?? [];
  assert.match(shift?.start ?? "", /T1[01]:00:00$/);
  assert.equal(shift?.timezone, undefined);
  assert.ok(
    proof?.differences.every(({ cause }) => cause === "a change of the clocks"),
    JSON.stringify(proof?.differences),
  );
});

test("what the token may not read is a row; a wrong token, another server and a server that is not there end it", async (t) => {
  const fake = await fakeOnCall(t);
  fake.forbidden = "personal_notification_rules";
  const { out, folder, result } = await imported(t, fake);
  assert.equal(result.status, 8, result.stderr);
  assert.ok(reportIn(out).rows.some(({ name, text }) => name === "personal_notification_rules" && /403/.test(text)));
  const run = (url: string, token = TOKEN) =>
    runCli(["import", "oncall", "--from-url", url, "--out", "other"], {
      cwd: folder,
      env: { PRISM_IMPORT_TOKEN: token },
    });
  assert.equal((await run(fake.url, "wrong")).status, 5);
  assert.equal((await run("http://127.0.0.1:9")).status, 4);
  assert.equal((await run("http://oncall.example.com")).status, 2);
  fake.isElsewhere = true;
  assert.equal((await run(`${fake.url}/api/v1/`)).status, 7);
});

const OPTIONS = { project: "oncall", teams: null, accept: [], localTimes: [], phones: new Map<string, string>() };

/** `UPDATE_GOLDEN=1` writes them anew. */
const GOLDEN = join(import.meta.dirname, "fixtures/oncall");

/** What a fake OnCall says at a fixed time. */
async function readAt(t: TestContext): Promise<GrafanaOnCall> {
  const { url } = await fakeOnCall(t);
  const options = { base: `${url}/api/v1`, headers: { authorization: TOKEN } };
  return readOnCall(new HttpSource(options, Date.parse("2026-11-28T18:00:30Z")), 90 * 86_400_000);
}

test("the files of a known OnCall are those of test/remote/import/fixtures/oncall", async (t) => {
  const old = await readAt(t);
  const written = writeOnCall(old, OPTIONS).texts();
  for (const [name, { text }] of written) {
    if (process.env["UPDATE_GOLDEN"]) writeFileSync(join(GOLDEN, name), text);
    const golden = readFileSync(join(GOLDEN, name), "utf8");
    // JSON is formatted with the sources.
    if (name.endsWith(".json")) assert.deepEqual(JSON.parse(text), JSON.parse(golden));
    else assert.equal(text, golden, name);
  }
  assert.deepEqual(readdirSync(GOLDEN).sort(), [...written.keys()].sort());
});

test("each type gets a preset whose requests are alerts; Amazon's topic is a secret to fill in", async (t) => {
  const old = await readAt(t);
  const [, jobs] = old.integrations;
  assert.ok(jobs);
  const presets: Readonly<Record<string, string>> = {
    ...{ webhook: "formatted-webhook", zabbix: "formatted-webhook", datadog: "formatted-webhook" },
    ...{ pagerduty: "formatted-webhook", legacy_grafana_alerting: "grafana", amazon_sns: "cloudwatch" },
    ...{ inbound_email: "mail", uptimerobot: "uptimerobot", formatted_webhook: "formatted-webhook" },
  };
  const integrations = Object.keys(presets).map((type) => ({ ...jobs, id: type, name: type, type }));
  const files = writeOnCall({ ...old, integrations }, OPTIONS);
  const folder = temporaryDir(t);
  writeImported(join(folder, "out"), files);
  const { projects } = parse(readFileSync(join(folder, "out/duty-team.yaml"), "utf8")) as {
    projects: { receivers: { name: string; preset: string; secret?: { env: string } }[] }[];
  };
  const receivers = projects[0]?.receivers ?? [];
  assert.deepEqual(Object.fromEntries(receivers.map(({ name, preset }) => [name, preset])), presets);
  const secret = receivers.find(({ name }) => name === "amazon_sns")?.secret?.env ?? "";
  assert.match(readFileSync(join(folder, "out/import-secrets.env"), "utf8"), new RegExp(`^# ${secret}=$`, "m"));
  const rows = files.rows.map(({ name, text }) => `${name}: ${text}`);
  assert.ok(rows.some((row) => /^amazon_sns: Fill the ARN/.test(row)));
  const unknown = files.rows.flatMap(({ name, text }) => (/send one, look at its alert/.test(text) ? [name] : []));
  assert.deepEqual(unknown, ["webhook", "datadog", "pagerduty"]);
  const checked = await runCli(["check", "-f", "out"], { cwd: folder, env: {} });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
});

test("a route that is not taken is a comment before the next one of its integration, which is safe to uncomment", async (t) => {
  const old = await readAt(t);
  const routes = old.routes.map((route) =>
    route.id === "R1" ? { ...route, routing_type: "regex", routing_regex: "info\n- x: |" } : route,
  );
  const labelled = routes.map((route) =>
    route.id === "R5"
      ? { ...route, routing_type: "jinja2", routing_regex: '{{ payload.labels.team == "db" }}' }
      : route,
  );
  const files = writeOnCall({ ...old, routes: labelled }, OPTIONS);
  const text = files.texts().get("duty-team.yaml")?.text ?? "";
  const policiesIn = (yaml: string) =>
    (
      parse(yaml) as { projects: { routes: { route: { routes: { matchers: string[]; policy: string }[] } } }[] }
    ).projects
      .flatMap((project) => project.routes.route.routes)
      .map(({ matchers, policy }) => `${matchers.join()} ${policy}`);
  const main = 'oncall="Prometheus \\"main\\" 🔥"';
  assert.deepEqual(policiesIn(text), [`${main},team="db" Default`, `${main} Default`, 'oncall="Jobs" Nobody']);
  assert.match(text, /# # OnCall's route 1, regex info - x: \|: add its matchers\n/);
  assert.deepEqual(policiesIn(text.replace(/^( +)# /gm, "$1")), [
    `${main} Daytime`,
    ...[`${main},team="db" Default`, `${main} Default`, 'oncall="Jobs" Daytime', 'oncall="Jobs" Nobody'],
  ]);
  const said = files.rows.filter(({ kind }) => kind === "route").map((row) => row.text);
  assert.match(said[0] ?? "", /compares a label that alerts of its receiver do not have, as its type is webhook/);
  assert.match(said[1] ?? "", /is no comparison of labels/);
});

test("equal sentences are one line with the names; stderr has 20 lines at most, and plan has no --runtime", async (t) => {
  const fake = await fakeOnCall(t);
  fake.jobs = 29;
  const { out, result } = await imported(t, fake);
  assert.equal(result.status, 8, result.stderr);
  const report = readFileSync(join(out, "report.md"), "utf8");
  const line = report.split("\n").find((each) => /another host name/.test(each)) ?? "";
  assert.match(
    line,
    /^- 31 integrations: Its senders need another host name; path and token stay \(.*Jobs, Job 0, .*Job 28\)$/,
  );
  assert.ok(report.indexOf("## Not taken") < report.indexOf("## To do"));
  const lines = result.stderr.trimEnd().split("\n");
  assert.equal(lines.length, 20, result.stderr);
  assert.match(lines[0] ?? "", /not taken: route/);
  assert.match(lines[19] ?? "", /more: the rest is in out\/report\.md$/);
  assert.match(
    result.stdout,
    /prism plan -f out --secrets-file out\/import-secrets\.env\n.*prism apply .* --runtime\n/,
  );
});

test("a condition is matchers only if it compares labels", () => {
  const labels = (routing_type: string | null, routing_regex: string, type = "alertmanager") =>
    labelsOf({ type } as OnCallIntegration, { routing_type, routing_regex } as OnCallRoute)
      ?.map(matcherText)
      .join();
  assert.equal(labels("regex", String.raw`"severity":\s*"critical"`), 'severity="critical"');
  assert.equal(labels("regex", String.raw`"severity"\s*:\s*"critical"`), 'severity="critical"');
  assert.equal(labels(null, '"team": "db"', "grafana_alerting"), 'team="db"');
  assert.equal(labels("regex", '"labels": {[^}]*"status": "bad"'), 'status="bad"');
  assert.equal(labels("regex", String.raw`"commonLabels":\s*\{"team": "db"`), 'team="db"');
  const joined = labels("jinja2", '{{ payload.labels.a == "1" and payload.commonLabels["b"] == "2" }}');
  assert.equal(joined, 'a="1",b="2"');
  for (const [type, condition, integration] of [
    // Members of the payload, annotations, and JSON that Python does not write.
    ["regex", '"status": "firing"'],
    ["regex", '"receiver": "team-a"'],
    ["regex", '"summary": "disk"'],
    ["regex", '"team":"db"'],
    ["regex", '"team": "db.*"'],
    ["regex", '"team": "db"', "webhook"],
    ["regex", '"team": "db"', "zabbix"],
    ["jinja2", '{{ payload.status == "firing" }}'],
    ["jinja2", '{{ payload.labels.a == "1" or true }}'],
    ["labels", ""],
  ] as const)
    assert.equal(labels(type, condition, integration), undefined, condition);
});

test("shifts, levels, swaps, rules and steps that are not taken as they are have a row each", async (t) => {
  const old = await readAt(t);
  const [rule] = old.rules;
  assert.ok(rule);
  const shifts = old.shifts.map((shift) => {
    if (shift.id === "O1") return { ...shift, level: 12 };
    if (shift.id === "O2") return { ...shift, duration: 0 };
    return shift.id === "O3" ? { ...shift, rolling_users: [["Ugone"]] } : shift;
  });
  const swaps = old.swaps.map((swap) => ({ ...swap, benefactor: "Ugone" }));
  const steps = old.steps.map((step) =>
    step.type === "notify_user_group" ? { ...step, type: "notify_whole_channel" } : step,
  );
  const rules = Array.from({ length: 24 }, (_, position) => ({
    ...{ ...rule, position, duration: 60, important: true, type: position % 2 === 0 ? "notify_by_email" : "wait" },
  }));
  const { rows } = writeOnCall({ ...old, shifts, swaps, steps, rules }, OPTIONS);
  const said = rows.map(({ kind, name, outcome, text }) => `${outcome}: ${kind} ${name}: ${text}`);
  for (const row of [
    /^changed: schedule Primary: The shift Weeks has the level 12; it is written with 9/,
    /^not taken: schedule Primary: The shift Nights: it lasts 0 seconds/,
    /^not taken: schedule Made in the page: The shift Weeks: it has nobody/,
    /^not taken: schedule Made in the page: The swap from 2026-12-30T09:00:00.000Z /,
    /^not taken: escalation chain Default: The step notify_whole_channel: add a step for a channel/,
    /^changed: person ada: has more than 10 contact rules/,
  ])
    assert.ok(
      said.some((each) => row.test(each)),
      `${row.source} of\n${said.join("\n")}`,
    );
});

test("what goes on keeps its start, so that a later import makes nothing twice; a team may be called runtime or default", async (t) => {
  const old = await readAt(t);
  const start = "2026-11-28T12:00:00";
  const shifts = old.shifts.map((shift) => (shift.type === "override" ? { ...shift, start } : shift));
  const teams = old.teams.map((team) => ({ ...team, name: "runtime" }));
  const options = { ...OPTIONS, accept: ["Made in the page"] };
  const write = (later: number) => writeOnCall({ ...old, shifts, teams, now: old.now + later }, options).texts();
  const [texts, later] = [write(0), write(3_600_000)];
  const runtime = texts.get("runtime.yaml")?.text ?? "";
  assert.equal(later.get("runtime.yaml")?.text, runtime);
  assert.match(runtime, /start: 2026-11-28T12:00:00.000Z[\s\S]*startsAt: 2026-11-28T17:00:00.000Z/);
  assert.match(texts.get("runtime-2.yaml")?.text ?? "", /slug: runtime\n/);
  const named = writeOnCall({ ...old, teams: teams.map((team) => ({ ...team, name: "Default" })) }, OPTIONS).texts();
  assert.match(named.get("default-2.yaml")?.text ?? "", /slug: default-2\n/);
});

test("--db gives the phone numbers that the API does not show", async (t) => {
  const fake = await fakeOnCall(t);
  const { folder, out } = await imported(t, fake);
  assert.ok(reportIn(out).rows.some(({ name, text }) => name === "ada" && /the phone number/.test(text)));
  const run = (text: string) => {
    writeFileSync(join(folder, "phones.tsv"), text);
    const words = ["import", "oncall", "--from-url", fake.url, "--out", "out", "--db", "phones.tsv"];
    return runCli(words, { cwd: folder, env });
  };
  assert.equal((await run("ada\t+49 151 12345678\nben\tnone\n")).status, 8);
  const { people } = parse(readFileSync(join(out, "people.yaml"), "utf8")) as {
    people: { username: string; phone?: string }[];
  };
  assert.deepEqual(
    people.slice(0, 2).map(({ username, phone }) => [username, phone]),
    [
      ["ada", "+4915112345678"],
      ["ben", undefined],
    ],
  );
  assert.ok(!reportIn(out).rows.some(({ name, text }) => name === "ada" && /the phone number/.test(text)));
  const refused = await run("ada +4915112345678\n");
  assert.deepEqual([refused.status, /--db: line 1/.test(refused.stderr)], [7, true], refused.stderr);
});

test("names of strangers leave no line of YAML, no list of the report and no control of the terminal", async (t) => {
  const fake = await fakeOnCall(t);
  fake.suffix = "\u001b[31m\n- x: [*a*](b)\r\n# \u202e\u0007&b |";
  const { folder, out, result } = await imported(t, fake);
  assert.equal(result.status, 8, result.stderr);
  for (const [name, text] of Object.entries({ ...textsIn(out), stdout: result.stdout, stderr: result.stderr }))
    if (/^std|\.(yaml|md)$/.test(name)) {
      assert.equal(text.replaceAll("\n", "").search(UNPRINTABLE), -1, name);
      assert.doesNotMatch(text, /^\s*- x:/m, name);
    }
  const checked = await runCli(["check", "-f", "out"], { cwd: folder, env: {} });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
});
