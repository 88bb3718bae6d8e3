import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { HttpSource } from "../../../src/remote/import/http-source.ts";
import { alternativesOf } from "../../../src/remote/import/pagerduty/conditions.ts";
import { readPagerDuty } from "../../../src/remote/import/pagerduty/read.ts";
import { writePagerDuty } from "../../../src/remote/import/pagerduty/write.ts";
import { runCli } from "../../cli/run-cli.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { fakeApi } from "./fake-api.ts";
import { FEED, KEYS, pagerDutyAccount } from "./pagerduty-account.ts";

const TOKEN = "y_0123456789-pagerduty";
const NOW = Date.parse("2027-02-10T18:00:00Z");
const GOLDEN = join(import.meta.dirname, "fixtures/pagerduty");

function filesIn(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

test("prism import pagerduty writes files that prism check takes, with their tests, and only reads", async (t) => {
  const now = Date.now();
  const api = await fakeApi(t, () => pagerDutyAccount(now));
  const cwd = temporaryDir(t);
  const env = { PRISM_IMPORT_TOKEN: TOKEN };
  const run = (...words: string[]) => runCli(["import", "pagerduty", "--from-url", api.url, ...words], { cwd, env });
  const first = await run("--out", "one", "--record", "recording");
  assert.equal(first.status, 8, first.stdout + first.stderr);
  assert.deepEqual(
    [...new Set(api.requests.map(({ method, authorization }) => `${method} ${authorization}`))],
    [`GET Token token=${TOKEN}`],
  );
  const files = filesIn(join(cwd, "one"));
  const { "import-secrets.env": secrets = "", ...public_ } = files;
  for (const secret of [...KEYS, FEED]) assert.ok(secrets.includes(secret));
  for (const text of Object.values({ ...public_, ...filesIn(join(cwd, "recording")) }))
    for (const secret of [TOKEN, ...KEYS, FEED, "\u001b"]) assert.ok(!text.includes(secret));
  const checked = await runCli(["check", "-f", "one", "--json"], { cwd, env: {} });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const { problems, tests } = JSON.parse(checked.stdout) as { problems: unknown[]; tests: { ok: boolean }[] };
  assert.deepEqual(problems, []);
  assert.ok(tests.length >= 4 && tests.every(({ ok }) => ok), checked.stdout);

  const made = api.requests.length;
  for (const out of ["two", "two", "three"])
    assert.equal((await run("--out", out, "--from-recording", "recording")).status, 8);
  assert.equal(api.requests.length, made);
  assert.deepEqual(filesIn(join(cwd, "two")), filesIn(join(cwd, "three")));
  const { "import-secrets.env": _, ...again } = filesIn(join(cwd, "two"));
  assert.deepEqual(again, public_);
  assert.equal((await run("--out", "web", "--from-recording", "recording", "--teams", "Web")).status, 8);
  const web = filesIn(join(cwd, "web"));
  assert.ok(!("data.yaml" in web));
  assert.deepEqual(
    [...(web["people.yaml"] ?? "").matchAll(/username: (\w+)/g)].map(([, name]) => name),
    ["cy"],
  );
  assert.doesNotMatch(web["report.md"] ?? "", /\bada\b/);
  const region = await runCli(["import", "pagerduty", "--region", "mars", "--out", "x"], { cwd, env });
  assert.equal(region.status, 2);
});

test("the files of an account are these, and each thing that is not taken is a row of the report", async (t) => {
  const api = await fakeApi(t, () => pagerDutyAccount(NOW));
  const source = new HttpSource({ base: api.url, headers: {} }, NOW);
  const options = { project: "pagerduty", teams: null, untilMs: 90 * 86_400_000, accept: [] };
  const files = writePagerDuty(await readPagerDuty(source, options), options);
  const texts = [...files.texts()].filter(([name]) => name !== "report.json");
  if (process.env["TEST_WRITE_GOLDEN"]) {
    mkdirSync(GOLDEN, { recursive: true });
    for (const [name, { text }] of texts) writeFileSync(join(GOLDEN, name), text);
  }
  assert.deepEqual(Object.fromEntries(texts.map(([name, { text }]) => [name, text])), filesIn(GOLDEN));
  const rows = files.rows.map(({ kind, name, outcome }) => `${outcome}: ${kind} ${name}`);
  for (const row of [
    "not taken: event rule All events: custom",
    "not taken: escalation policy Unused",
    "changed: escalation policy Unused",
    "not taken: integration Shop: Nagios",
    "not taken: service Old",
    "to do: integration Shop: Mail",
    "to do: sender Shop: Events",
    "changed: route Shop",
    "changed: service Lake",
    "to do: schedule Second",
    "not taken: service Shop",
    "not taken: event orchestration All events",
    "not taken: route Site",
    "changed: service Site",
    "not taken: override Primary",
    "not taken: team Web",
  ])
    assert.ok(rows.includes(row), `${row}\n${rows.join("\n")}`);
  const written = files.texts();
  assert.match(written.get("runtime.yaml")?.text ?? "", /startsAt: 2024-05-01T10:00:00/);
  // Support hours of another form: the route is a comment, and no route says that all is urgent.
  assert.match(written.get("web.yaml")?.text ?? "", /# {3}- \{ matchers: \["service=\\"Site\\""\], policy: \}/);
  assert.doesNotMatch(written.get("web.yaml")?.text ?? "", /policy: Data/);
  assert.deepEqual(
    files.proofs.map(({ name, form, differences }) => [name, form, differences.length > 0]),
    [
      ["Primary", "exact", false],
      ["Second", "follow", true],
    ],
  );
});

test("conditions of event rules are matchers, or nothing", () => {
  const text = (...expressions: string[]) =>
    alternativesOf(expressions)?.map((all) => all.map(({ name, operator, value }) => `${name}${operator}${value}`));
  assert.deepEqual(text(), [[]]);
  assert.deepEqual(text("event.summary matches part 'a or (b)' or event.severity does not match 'info'"), [
    ["alertname=~(?s:.*)a or \\(b\\)(?s:.*)"],
    ["severity!=info"],
  ]);
  assert.deepEqual(text("event.group matches regex 'x|y' and event.class matches 'it\\'s'"), [
    ["group=~(?s:.*)(?:x|y)(?s:.*)", "class=it's"],
  ]);
  for (const other of [
    "(event.summary matches 'a' or event.summary matches 'b') and event.source matches 'c'",
    "event.custom_details.env matches 'prod'",
    "event.summary matches regex '(?=a)b'",
    "event.summary exists",
    "now in Mon,Tue 09:00:00 to 17:00:00 UTC",
  ])
    assert.equal(text(other), undefined, other);
});
