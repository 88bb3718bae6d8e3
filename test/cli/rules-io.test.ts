import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import type { RuleImport as Imported } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { rowsWith, valuesOf } from "../helpers/values.ts";
import { databaseIn, eachCase, jsonLines, makeDatabase, runCli, runJson } from "./run-cli.ts";

interface Listed {
  readonly rules: readonly {
    readonly id: string;
    readonly name: string;
    readonly version: number;
    readonly projectId: string | null;
    readonly stats: { readonly matched: number };
  }[];
}

type Portable = Readonly<Record<string, unknown>> & { readonly name: string };

const counts = ({ created, updated, unchanged }: Imported) => [created, updated, unchanged];

/** All that a rule can say. */
const FULL = {
  name: "Big payment failed",
  description: "For the night shift",
  condition: "event.type == 'payment.failed' && event.amount > 1000",
  targetRoles: ["Operator", "Admin"],
  channels: ["in_app", "fcm"],
  titleTemplate: "{{event.amount}} failed",
  messageTemplate: "Order {{event.order | default:'unknown'}}",
  action: { type: "open", url: "https://shop.example.org/orders", label: "Orders" },
  priority: 600,
  active: false,
  suppression: { count: 3, windowMs: 60_000, mode: "batch", key: "{{event.source}}" },
  dedupe: { key: "{{event.order}}", windowMs: 5000 },
  cooldownMs: 1000,
  threshold: { count: 3, windowMs: 60_000, key: "{{event.host}}" },
  absence: null,
  alert: {
    key: "{{event.host}}",
    labels: { host: "{{event.host}}" },
    annotations: { runbook: "https://shop.example.org/runbook" },
    severity: "critical",
    resolve: "event.type == 'payment.ok'",
    resolveAfterMs: 3_600_000,
    forMs: 60_000,
  },
};

/** Two rules, one of a project with a user of its own who has nothing but a mail address. */
async function makeRules(prism: TestPrism): Promise<void> {
  const made = async (path: string, body: object): Promise<string> => {
    const reply = await answered(201, prism.post<{ id?: string }>(path, body));
    return reply.body.id ?? "";
  };
  const ann = await made("/api/v1/users", { email: "ann@example.org", status: "active" });
  await made("/api/v1/projects", { name: "Shop", slug: "shop" });
  await made("/api/v1/projects/shop/members", { userId: ann, role: "viewer" });
  await made("/api/v1/rules", FULL);
  const order = { name: "Order", condition: "event.type == 'order'", targetUsers: [ann], projectId: "shop" };
  await made("/api/v1/rules", order);
}

test("rules export and import carry all of a rule to another Prism, by names: from a server, from a data directory, back and forth", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  const cwd = temporaryDir(t);
  const online = { cwd, env: { PRISM_TOKEN: prism.adminToken, PRISM_URL: prism.url } };
  const out = join(cwd, "rules.json");

  await t.test(
    "the document holds everything, roles by name, project by slug, users by what they are called",
    async () => {
      const { rules } = await runJson<{ rules: number }>(["rules", "export", "--out", out], online);
      assert.equal(rules, 2);
      assert.equal(statSync(out).mode & 0o777, 0o600);
      const document = JSON.parse(readFileSync(out, "utf8")) as { rules: readonly Portable[] };
      assert.deepEqual(document.rules[0], { projectId: null, targetUsers: [], sound: null, ...FULL });
      const { projectId, targetUsers } = document.rules[1] ?? { projectId: "", targetUsers: [] };
      assert.deepEqual([projectId, targetUsers], ["shop", ["ann@example.org"]]);
    },
  );

  await t.test("the data directory gives the same, a rule a line and of one project where asked", async () => {
    const dir = ["--data-dir", prism.dir];
    const lines = await runCli(["rules", "export", "--format", "ndjson", ...dir], { cwd });
    assert.deepEqual(jsonLines(lines.stdout), (JSON.parse(readFileSync(out, "utf8")) as { rules: unknown }).rules);
    const shop = await runCli(["rules", "export", "--format", "ndjson", "--project", "shop", ...dir], { cwd });
    assert.deepEqual(valuesOf(jsonLines<Portable>(shop.stdout), "name"), ["Order"]);
  });

  await t.test("what is there and equal is left alone, here and there; what differs needs --update", async () => {
    assert.deepEqual(counts(await runJson(["rules", "import", out], online)), [0, 0, 2]);
    assert.deepEqual(counts(await runJson(["rules", "import", out, "--data-dir", prism.dir], { cwd })), [0, 0, 2]);
    const changed = join(cwd, "changed.ndjson");
    writeFileSync(
      changed,
      `${JSON.stringify({ ...FULL, priority: 700 })}\n\n${JSON.stringify({ ...FULL, name: "New" })}\n`,
    );
    const refused = await runCli(["rules", "import", changed], online);
    assert.equal(refused.status, 7);
    assert.match(refused.stderr, /line 1 \(Big payment failed\): name: there is a rule of this name that differs/);
    const dry = await runJson<Imported>(["rules", "import", changed, "--update", "--dry-run"], online);
    assert.deepEqual([counts(dry), dry.rules[1]?.id], [[1, 1, 0], null]);
    assert.deepEqual(counts(await runJson(["rules", "import", changed, "--update"], online)), [1, 1, 0]);
    const { body } = await prism.get<{ data: Listed["rules"] }>("/api/v1/rules?sort=createdAt");
    assert.deepEqual(rowsWith(body.data, "name", "version"), [
      ["Big payment failed", 2],
      ["Order", 1],
      ["New", 1],
    ]);
    const trail = await prism.get<{ data: { action: string }[] }>("/api/v1/audit?action=rule.*&limit=10");
    assert.deepEqual(valuesOf(trail.body.data, "action"), ["rule.create", "rule.update", "rule.create", "rule.create"]);
  });

  await t.test("what is imported beside the server is in force there", async () => {
    const rule = { name: "Beside", condition: "event.type == 'beside'", targetUsers: ["dev"], projectId: "default" };
    const dir = ["--data-dir", prism.dir];
    const input = JSON.stringify([rule]);
    assert.deepEqual(counts(await runJson(["rules", "import", "-", ...dir], { cwd, input })), [1, 0, 0]);
    await eventually("the server has taken notice", () => prism.parts.offers.rules.size === 2);
    await prism.post("/api/v1/events", { type: "beside" });
    const listed = await runJson<Listed>(["rules", "list", ...dir], { cwd });
    assert.equal(listed.rules.find(({ name }) => name === "Beside")?.stats.matched, 1);
    const [row] = prism.parts.base.store.reader
      .prepare<[], { actor: string }>("select actor from audit_log where action = 'rule.create' order by seq desc")
      .all();
    assert.match(row?.actor ?? "", /"type":"operator"/);
  });

  await t.test("a table for people has project, state and totals; --active leaves the others out", async () => {
    const { stdout } = await runCli(["rules", "list"], online);
    assert.match(stdout, /^ID +PROJECT +ACTIVE +PRIORITY +MATCHED +FIRED +SUPPRESSED +ERRORS +LAST MATCHED +NAME$/m);
    assert.match(stdout, / \(all\) +no +700 +0 +0 +0 +0 +- +Big payment failed$/m);
    assert.match(stdout, / default +yes +0 +1 +1 +0 +0 +\S+Z +Beside$/m);
    const { rules } = await runJson<Listed>(["rules", "list", "--project", "shop", "--active"], online);
    assert.deepEqual(valuesOf(rules, "name"), ["Order"]);
  });

  await t.test("rows of `prism export rules` are taken, too", async () => {
    const { stdout } = await runCli(["export", "rules", "--format", "json"], online);
    assert.deepEqual(counts(await runJson(["rules", "import", "-"], { ...online, input: stdout })), [0, 0, 4]);
  });
});

test("users that the token may not read are written by id, and an address of an account is found like any recipient", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  const scopes = ["rules:read", "rules:write", "projects:all"];
  const { body } = await prism.post<{ token: string }>("/api/v1/users/me/tokens", { name: "ci", scopes });
  const options = { cwd: temporaryDir(t), env: { PRISM_TOKEN: body.token, PRISM_URL: prism.url } };
  const exported = await runCli(["rules", "export", "--project", "shop"], options);
  assert.match(exported.stderr, /1 of their users are written by id/);
  const [rule] = (JSON.parse(exported.stdout) as { rules: { targetUsers: string[] }[] }).rules;
  assert.match(rule?.targetUsers[0] ?? "", /^[0-9a-f-]{36}$/);
  assert.deepEqual(counts(await runJson(["rules", "import", "-"], { ...options, input: exported.stdout })), [0, 0, 1]);
  const input = JSON.stringify({ ...rule, targetUsers: ["ann@example.org"] });
  assert.deepEqual(counts(await runJson(["rules", "import", "-"], { ...options, input })), [0, 0, 1]);
  const stranger = JSON.stringify({ ...rule, targetUsers: ["bob@example.org"] });
  const refused = await runCli(["rules", "import", "-"], { ...options, input: stranger });
  assert.deepEqual([refused.status, /RECIPIENT_NOT_FOUND/.test(refused.stderr)], [6, true]);
  const { token } = await makeUser(prism, "uma", ["User"]);
  const hers = JSON.stringify({ name: "r", condition: "true", projectId: "default", targetUsers: ["me"] });
  const mayNot = await runCli(["rules", "import", "-", "--token", token], { ...options, input: hers });
  assert.equal(mayNot.status, 5);
  assert.match(mayNot.stderr, /\n {2}rule 1 \(r\): needs the permission rules:write\n$/);
});

test("rules import is all or nothing, and says where each problem is", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const made = await runCli(["user", "create", "--username", "ann", "--role", "Admin"], { cwd });
  assert.equal(made.status, 0, made.stderr);
  const rule = { name: "One", condition: "event.a == 1", targetRoles: ["Admin"] };
  const bad = { ...rule, name: "Two", condition: "event.a = 1" };
  const cases = [
    {
      name: "a condition that does not read exits 7 with a caret under the place",
      input: JSON.stringify([rule, bad]),
      status: 7,
      says: /^prism: nothing was imported, because this is not valid \(INVALID_CONDITION\):\n {2}rule 2 \(Two\): condition, line 1, column 9: .*\n {4}event\.a = 1\n {12}\^\n {4}expected ==\n$/,
    },
    {
      name: "every problem is reported, also in templates",
      input: JSON.stringify({
        rules: [bad, rule, { ...rule, name: "Three", dedupe: { key: "{{ event.", windowMs: 5000 } }],
      }),
      status: 7,
      says: /rule 1 \(Two\): condition,[\s\S]*rule 3 \(Three\): dedupe\.key, line 1, column \d+: .*\n {4}\{\{ event\.\n/,
    },
    {
      name: "a wrong member is named with its rule, by its line in NDJSON",
      input: `${JSON.stringify(rule)}\n${JSON.stringify({ ...rule, name: "Two", prority: 5 })}\n`,
      status: 7,
      says: /line 2 \(Two\): prority: is not a member of this object/,
    },
    {
      name: "an unknown role",
      input: JSON.stringify({ ...rule, targetRoles: ["Admin", "Chief"] }),
      status: 6,
      says: /rule 1 \(One\): targetRoles\.1: is no role/,
    },
    {
      name: "an unknown user, of whom no account is made",
      input: JSON.stringify({ ...rule, targetUsers: ["ann", "bob"] }),
      status: 6,
      says: /rule 1 \(One\): targetUsers\.1: bob is no active user/,
    },
    {
      name: "an unknown project",
      input: JSON.stringify({ ...rule, projectId: "shop" }),
      status: 6,
      says: /rule 1 \(One\): No such project/,
    },
    {
      name: "two rules of one name",
      input: JSON.stringify([rule, { ...rule, priority: 1 }]),
      status: 7,
      says: /rule 2 \(One\): name: rules\.0 has the same name in the same project/,
    },
    { name: "a file without rules", input: "\n", status: 7, says: /cannot be read: there are no rules in it/ },
    { name: "an empty list", input: "[]", status: 7, says: /at least one rule/ },
    { name: "invalid JSON", input: '{"rules":[', status: 7, says: /cannot be read: it is not JSON/ },
    {
      name: "a line of invalid JSON",
      input: `${JSON.stringify(rule)}\n{"name"\n`,
      status: 7,
      says: /cannot be read: line 2 is not JSON/,
    },
    {
      name: "a document of another kind",
      input: '{"prism":"rules","version":2,"rules":[]}',
      status: 7,
      says: /this version reads \{"prism":"rules","version":1\}/,
    },
  ];
  await eachCase(t, "refusals", cases, async ({ input, status, says }) => {
    const refused = await runCli(["rules", "import", "-"], { cwd, input });
    assert.deepEqual([refused.status, refused.stdout], [status, ""], refused.stderr);
    assert.match(refused.stderr, says);
  });
  const db = new SqliteDatabase(databaseIn(join(cwd, "data")), { readonly: true });
  t.after(() => db.close());
  const left = "select (select count(*) from rules) + (select count(*) from users where username = 'bob')";
  assert.equal(db.prepare(left).pluck().get(), 0);

  await t.test("without a data directory there is nothing to import into", async () => {
    const nowhere = await runCli(["rules", "import", "-"], { cwd: temporaryDir(t), input: JSON.stringify(rule) });
    assert.deepEqual([nowhere.status, /there is no database at/.test(nowhere.stderr)], [4, true]);
    const nothing = await runCli(["rules", "list", "--data-dir", join(cwd, "data")], { cwd });
    assert.deepEqual([nothing.status, nothing.stdout], [0, "no rules\n"]);
  });
});

test("rules import on the data directory has the limits of the server", async (t) => {
  const prism = await startPrism(t);
  const rule = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
    ...{ name, projectId: "default", condition: "event.type == 'x'", targetUsers: ["dev"], ...more },
  });
  const stored = rule("stored", { condition: "matches(event.a, 'x{300}')" });
  assert.equal((await prism.post("/api/v1/rules", stored)).status, 201);
  await prism.stop();
  const env = { PRISM_LIMITS_RULES_PER_PROJECT: "2", PRISM_LIMITS_PATTERNS_PER_PROJECT: "500" };
  const run = (rules: readonly object[], ...flags: string[]) => {
    const input = JSON.stringify(rules);
    return runCli(["rules", "import", "-", "--data-dir", prism.dir, ...flags], { cwd: prism.dir, env, input });
  };
  await eachCase(
    t,
    "what is too much",
    [
      { name: "rules of a project", rules: ["a", "b"].map((name) => rule(name)), message: /rulesPerProject allows 2/ },
      {
        name: "patterns of a project with those that are stored",
        rules: [rule("a", { condition: "matches(event.a, 'y{300}')" })],
        message: /compile to \d+; limits\.patternsPerProject is 500/,
      },
      {
        name: "one pattern",
        rules: [rule("a", { condition: "matches(event.a, '(?:x{100}){50}')" })],
        message: /too costly/,
      },
    ],
    async ({ rules, message }) => {
      const { status, stderr } = await run(rules);
      assert.notEqual(status, 0);
      assert.match(stderr, message);
    },
  );
  const replaced = await run([{ ...stored, condition: "matches(event.a, 'y{301}')" }, rule("a")], "--update");
  assert.equal(replaced.status, 0, `a rule that is replaced makes room: ${replaced.stderr}`);
});
