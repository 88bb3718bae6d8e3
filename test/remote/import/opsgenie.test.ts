import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parse } from "yaml";
import { HttpSource } from "../../../src/remote/import/http-source.ts";
import { readOpsgenie } from "../../../src/remote/import/opsgenie/read.ts";
import { matcherOf } from "../../../src/remote/import/opsgenie/routes.ts";
import { writeOpsgenie } from "../../../src/remote/import/opsgenie/write.ts";
import { runCli } from "../../cli/run-cli.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { fakeApi } from "./fake-api.ts";
import { opsgenieAccount } from "./opsgenie-account.ts";

const TOKEN = "genie-key-0123456789";
const NOW = Date.parse("2027-02-10T18:00:00Z");
const GOLDEN = join(import.meta.dirname, "fixtures/opsgenie");

function filesIn(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

test("prism import opsgenie writes files that prism check takes, with their tests, and only reads", async (t) => {
  const now = Date.now();
  const api = await fakeApi(t, (url) => opsgenieAccount(url, now));
  const cwd = temporaryDir(t);
  const env = { PRISM_IMPORT_TOKEN: TOKEN };
  const run = (...words: string[]) => runCli(["import", "opsgenie", "--from-url", api.url, ...words], { cwd, env });
  const first = await run("--out", "one", "--record", "recording");
  assert.equal(first.status, 8, first.stdout + first.stderr);
  assert.ok(api.requests.length > 20);
  assert.deepEqual(
    [...new Set(api.requests.map(({ method, authorization }) => `${method} ${authorization}`))],
    [`GET GenieKey ${TOKEN}`],
  );
  const files = filesIn(join(cwd, "one"));
  assert.deepEqual(
    Object.keys(files).sort(),
    [
      ...[
        ".prism-import-opsgenie.json",
        "data-b-bases-b.yaml",
        "import-secrets.env",
        "people.yaml",
        "report.json",
        "report.md",
      ],
      ...["runtime.yaml", "tests.yaml", "web.yaml"],
    ].sort(),
  );
  for (const text of Object.values({ ...files, ...filesIn(join(cwd, "recording")) }))
    assert.ok(!text.includes(TOKEN) && !text.includes("\u001b"));
  assert.equal(statSync(join(cwd, "one/import-secrets.env")).mode & 0o777, 0o600);
  const checked = await runCli(["check", "-f", "one", "--json"], { cwd, env: {} });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const { problems, tests } = JSON.parse(checked.stdout) as { problems: unknown[]; tests: { ok: boolean }[] };
  assert.deepEqual(problems, []);
  assert.ok(tests.length >= 6 && tests.every(({ ok }) => ok), checked.stdout);

  // The same source gives the same bytes, without a request.
  const made = api.requests.length;
  for (const out of ["two", "two", "three"])
    assert.equal((await run("--out", out, "--from-recording", "recording")).status, 8);
  assert.equal(api.requests.length, made);
  assert.deepEqual(filesIn(join(cwd, "two")), filesIn(join(cwd, "three")));
  assert.deepEqual(filesIn(join(cwd, "two")), files);

  // Who accepts the difference gets the shifts.
  const accepted = await run("--out", "four", "--from-recording", "recording", "--accept", "Web");
  assert.equal(accepted.status, 8);
  assert.match(filesIn(join(cwd, "four"))["web.yaml"] ?? "", /shifts:/);
  assert.equal((await runCli(["check", "-f", "four"], { cwd, env: {} })).status, 0);
  const oneTeam = await run("--out", "five", "--from-recording", "recording", "--teams", "Web");
  assert.equal(oneTeam.status, 8);
  const five = filesIn(join(cwd, "five"));
  assert.ok(!("data-b-bases-b.yaml" in five));
  // Only the people of the team, and whom its objects name.
  const peopleIn = (files: Record<string, string>) =>
    [...(files["people.yaml"] ?? "").matchAll(/username: (\w+)/g)].map(([, name]) => name);
  assert.deepEqual(peopleIn(five), ["cy"]);
  assert.doesNotMatch(five["report.md"] ?? "", /(person|rule) ada|maintenance/);
  assert.equal(
    (await run("--out", "six", "--from-recording", "recording", "--teams", "Web,Gone", "--accept", "Web")).status,
    8,
  );
  const six = filesIn(join(cwd, "six"));
  assert.deepEqual(peopleIn(six), ["ada", "cy"]);
  assert.match(six["report.md"] ?? "", /team Gone: there is no such team/);
  assert.equal((await runCli(["check", "-f", "six"], { cwd, env: {} })).status, 0);
});

test("the files of an account are these, and each thing that is not taken is a row of the report", async (t) => {
  const api = await fakeApi(t, (url) => opsgenieAccount(url, NOW));
  const source = new HttpSource({ base: api.url, headers: {} }, NOW);
  const options = { project: "opsgenie", teams: null, untilMs: 90 * 86_400_000, accept: [] };
  const old = await readOpsgenie(source, options);
  const files = writeOpsgenie(old, options);
  const texts = [...files.texts()].filter(([name]) => name !== "report.json");
  if (process.env["TEST_WRITE_GOLDEN"]) {
    mkdirSync(GOLDEN, { recursive: true });
    for (const [name, { text }] of texts) writeFileSync(join(GOLDEN, name), text);
  }
  assert.deepEqual(Object.fromEntries(texts.map(([name, { text }]) => [name, text])), filesIn(GOLDEN));
  const rows = files.rows.map(({ kind, name, outcome }) => `${outcome}: ${kind} ${name}`);
  for (const row of [
    "not taken: integration Chat",
    "not taken: integration Out",
    "not taken: maintenance Going on",
    "not taken: override Duty",
    "not taken: team Data & <b>bases</b>",
    "not taken: forwarding zoe@example.com to ada@example.com",
    "changed: notification rule ada@example.com: New",
    "not taken: notification rule ada@example.com: New",
    "not taken: policy alert policy Rename",
    "not taken: service Shop",
    "not taken: escalation Night",
    "changed: escalation Slow",
    "changed: policy Slow",
    "to do: integration Checks",
    "to do: integration Graphs",
    "to do: schedule Web",
    "not taken: routing rule Data & <b>bases</b>: Urgent",
    "changed: routing rule Data & <b>bases</b>: Office",
  ])
    assert.ok(rows.includes(row), `${row}\n${rows.join("\n")}`);
  // Maintenance that is going on keeps its start, or it would be made again; of two integrations with one name each has its own.
  const silences = parse(files.texts().get("runtime.yaml")?.text ?? "").projects[0].runtime.silences;
  const later = writeOpsgenie({ ...old, now: NOW + 3_600_000 }, options)
    .texts()
    .get("runtime.yaml")?.text;
  assert.deepEqual(parse(later ?? "").projects[0].runtime.silences, silences);
  assert.deepEqual(
    silences.map(({ matchers, startsAt }: { matchers: string[]; startsAt: string }) => [...matchers, startsAt]),
    [
      ['integration="Checks"', "2027-03-12T18:00:00.000Z"],
      ['integration="Checks-2"', "2024-05-01T10:00:00.000Z"],
    ],
  );
  assert.deepEqual(
    files.proofs.map(({ name, form, differences }) => [name, form, differences.length > 0]),
    [
      ["Duty", "exact", false],
      ["Web", "follow", true],
    ],
  );
});

test("a refused token is 5, a list that the key may not read is a row, and a wrong answer is 7", async (t) => {
  const now = Date.now();
  const api = await fakeApi(t, (url) => opsgenieAccount(url, now));
  const cwd = temporaryDir(t);
  const run = () =>
    runCli(["import", "opsgenie", "--from-url", api.url, "--out", "files"], {
      cwd,
      env: { PRISM_IMPORT_TOKEN: TOKEN },
    });
  api.statuses.set("/v2/heartbeats", 403);
  const refused = await run();
  assert.equal(refused.status, 8);
  assert.match(readFileSync(join(cwd, "files/report.md"), "utf8"), /request heartbeats: was answered with 403/);
  api.statuses.set("/v2/users", 401);
  assert.equal((await run()).status, 5);
  api.statuses.set("/v2/users", 500);
  assert.equal((await run()).status, 4);
  const other = await fakeApi(t, (url) => ({ ...opsgenieAccount(url, now), "/v2/teams": { data: [{ id: 5 }] } }));
  const wrong = await runCli(["import", "opsgenie", "--from-url", other.url, "--out", "other"], {
    ...{ cwd, env: { PRISM_IMPORT_TOKEN: TOKEN } },
  });
  assert.equal(wrong.status, 7);
  assert.match(wrong.stderr, /teams: 0.id is not as described/);
});

test("Jira Service Management operations are read at their own paths, with mail and token", async (t) => {
  const now = Date.now();
  const at = "/jsm/ops/api/cloud-1";
  const iso = (days: number) => new Date(Math.floor(now / 3_600_000) * 3_600_000 + days * 86_400_000).toISOString();
  const ada = { type: "user", id: "acc-1" };
  const none = { values: [], links: {} };
  const api = await fakeApi(
    t,
    () => ({
      [`${at}/v1/teams`]: { platformTeams: [{ teamId: "t1", teamName: "Data" }] },
      [`${at}/v1/teams/t1/members`]: { values: [{ accountId: "acc-1", role: "admin" }] },
      [`${at}/v1/teams/t1/routing-rules`]: {
        values: [{ id: "r", name: null, isDefault: true, notify: { type: "escalation", id: "e1" } }],
      },
      [`${at}/v1/teams/t1/escalations`]: {
        values: [
          {
            id: "e1",
            name: "Night",
            rules: [
              { delay: 0, condition: "if-not-acked", notifyType: "default", recipient: { type: "schedule", id: "s1" } },
            ].map(({ delay: _, ...rule }) => rule),
          },
        ],
      },
      [`${at}/v1/teams/t1/heartbeats`]: none,
      [`${at}/v1/schedules`]: { values: [{ id: "s1", name: "Duty", timezone: "UTC", enabled: true, teamId: "t1" }] },
      [`${at}/v1/schedules/s1/rotations`]: {
        values: [{ id: "w", name: "Weeks", startDate: iso(-30), type: "weekly", length: 1, participants: [ada] }],
      },
      [`${at}/v1/schedules/s1/timeline`]: {
        finalTimeline: {
          rotations: [
            { name: "Weeks", periods: [{ startDate: iso(-30), endDate: iso(130), responder: ada }] },
            {
              name: "Gone",
              deleted: true,
              periods: [{ startDate: iso(-30), endDate: iso(130), responder: { type: "user", id: "x" } }],
            },
          ],
        },
      },
      [`${at}/v1/schedules/s1/overrides`]: none,
      [`${at}/v1/maintenances`]: none,
      [`${at}/v1/integrations`]: none,
      [`${at}/v1/forwarding-rules`]: none,
      "/ex/jira/cloud-1/rest/api/3/user": { accountId: "acc-1", emailAddress: "ada@example.com", displayName: "Ada" },
    }),
    at,
  );
  const cwd = temporaryDir(t);
  const { status, stdout, stderr } = await runCli(["import", "opsgenie", "--from-url", api.url, "--out", "jsm"], {
    ...{ cwd, env: { PRISM_IMPORT_TOKEN: "me@example.com:jsm-token" } },
  });
  assert.equal(status, 8, stdout + stderr);
  assert.match(stderr, /not taken: 3 accounts: are not read .*, notification rules, /);
  const basic = `Basic ${Buffer.from("me@example.com:jsm-token").toString("base64")}`;
  assert.deepEqual([...new Set(api.requests.map(({ authorization }) => authorization))], [basic]);
  const text = readFileSync(join(cwd, "jsm/data.yaml"), "utf8");
  assert.match(text, /turns:\s+- - ada\n/);
  assert.match(text, /policy: Night/);
});

test("conditions of tags are labels of each tag", () => {
  const text = (operation: string, not = false) => {
    const found = matcherOf({ field: "tags", key: null, not, operation, expectedValue: "page me" });
    return found && `${found.name}${found.operator}${found.value}`;
  };
  assert.deepEqual(
    [text("contains"), text("equals"), text("equals", true), text("matches")],
    ["tag_page_me=true", "tag_page_me=true", "tag_page_me!=true", null],
  );
});

test("a person with more than ten contact rules, and a rule at times of an unknown zone, are rows of the report", async (t) => {
  const api = await fakeApi(t, (url) => {
    const account = opsgenieAccount(url, NOW) as Record<string, { data: Record<string, unknown> }>;
    const steps = Array.from({ length: 12 }, (_, minutes) => ({
      ...{ contact: { method: "email", to: "x" }, sendAfter: { timeAmount: minutes, timeUnit: "minutes" } },
    }));
    const rule = { ...account["/v2/users/u1/notification-rules/n1"]?.data, criteria: null, steps };
    const { data } = account["/v2/teams/t1/routing-rules"] ?? { data: {} };
    const [first, office] = data as unknown as object[];
    const routing = [first, { ...office, timezone: "Mars/Base" }];
    return {
      ...account,
      ...{ "/v2/users/u1/notification-rules/n1": { data: rule }, "/v2/teams/t1/routing-rules": { data: routing } },
    };
  });
  const source = new HttpSource({ base: api.url, headers: {} }, NOW);
  const options = { project: "opsgenie", teams: null, untilMs: 90 * 86_400_000, accept: [] };
  const { rows } = writeOpsgenie(await readOpsgenie(source, options), options);
  const texts = rows.map(({ kind, outcome, text }) => `${kind} ${outcome}: ${text}`);
  assert.ok(texts.includes("person changed: has more than 10 contact rules of one urgency; the first 10 were taken"));
  assert.ok(texts.includes("routing rule not taken: has a time restriction of another form or zone; write a route"));
});
