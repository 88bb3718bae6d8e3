import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { parse } from "yaml";
import { HttpSource } from "../../../src/remote/import/http-source.ts";
import { readOnCall } from "../../../src/remote/import/oncall/read.ts";
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

test("the files of a known OnCall are those of test/remote/import/fixtures/oncall", async (t) => {
  const fake = await fakeOnCall(t);
  const options = { base: `${fake.url}/api/v1`, headers: { authorization: TOKEN } };
  const source = new HttpSource(options, Date.parse("2026-11-28T18:00:30Z"));
  const old = await readOnCall(source, 90 * 86_400_000);
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
