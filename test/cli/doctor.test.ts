import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, type TestContext } from "node:test";
import { promise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, makeDatabase, runCli, runJson } from "./run-cli.ts";

interface Check {
  readonly name: string;
  readonly status: "PASS" | "WARN" | "FAIL";
  readonly message: string;
}

interface Report {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

interface Examined {
  readonly status: number | null;
  readonly report: Report;
  /** Status by name of the check; the worst of those with one name. */
  readonly found: ReadonlyMap<string, string>;
}

const RANK = { PASS: 0, WARN: 1, FAIL: 2 };

async function examine(cwd: string, args: readonly string[] = [], env: Record<string, string> = {}): Promise<Examined> {
  const { status, stdout, stderr } = await runCli(["doctor", "--json", ...args], { cwd, env: { PORT: "0", ...env } });
  assert.notEqual(stdout, "", stderr);
  const report = JSON.parse(stdout) as Report;
  const found = new Map<string, Check["status"]>();
  for (const check of report.checks) {
    const known = found.get(check.name);
    if (known === undefined || RANK[check.status] > RANK[known]) found.set(check.name, check.status);
  }
  return { status, report, found };
}

const template = mkdtempSync(join(tmpdir(), "prism-doctor-"));

before(async () => {
  await makeDatabase({ cwd: template });
  await runJson(["user", "create", "--username", "ann", "--role", "Admin"], { cwd: template });
  await runJson(["token", "create", "--user", "ann"], { cwd: template });
});

after(() => rmSync(template, { recursive: true }));

/** A data directory with users, tokens and an audit trail; the paths of what is in it. */
function madeDir(t: TestContext): { cwd: string; data: string; db: string } {
  const cwd = temporaryDir(t);
  const data = join(cwd, "data");
  cpSync(join(template, "data"), data, { recursive: true, preserveTimestamps: true });
  chmodSync(data, 0o700);
  return { cwd, data, db: databaseIn(data) };
}

function saying(report: Report, name: string): string {
  return report.checks
    .filter((check) => check.name === name)
    .map(({ message }) => message)
    .join("\n");
}

test(
  "S4-42: doctor shows one line per check and no settings; a made data directory is in order",
  promise("S4-42", async (t) => {
    const { cwd } = madeDir(t);
    const env = { PORT: "0", LOG_LEVEL: "warn", PRISM_METRICS_TOKEN: "a-metrics-token-of-ours" };
    const [{ status, report, found }, human] = await Promise.all([
      examine(cwd, [], env),
      runCli(["doctor", "--no-color"], { cwd, env }),
    ]);
    assert.deepEqual([status, report.ok], [0, true], JSON.stringify(report.checks));
    const names = [
      "configuration",
      "secrets",
      "node",
      "permissions",
      "descriptors",
      "disk",
      "database",
      "migrations",
      "schema",
      "foreign keys",
      "encryption",
      "audit",
      "queues",
      "keys",
      "accounts",
      "rights",
      "stored bytes",
      "clock",
      "redis",
      "smtp",
      "port",
    ];
    assert.deepEqual([...found.keys()], names);
    assert.deepEqual(Object.keys(report), ["checks", "ok"]);
    assert.equal(human.status, 0);
    const lines = human.stdout.trimEnd().split("\n");
    assert.equal(lines.length, names.length);
    for (const [at, name] of names.entries()) assert.match(lines[at] ?? "", new RegExp(`^(PASS|WARN)  ${name} +\\S`));
    assert.doesNotMatch(human.stdout + JSON.stringify(report), /a-metrics-token/);
  }),
);

test("before the first start doctor fails without a database, and creates nothing", async (t) => {
  const cwd = temporaryDir(t);
  const { status, found } = await examine(cwd);
  assert.equal(status, 8);
  assert.deepEqual([found.get("permissions"), found.get("database")], ["WARN", "FAIL"]);
  assert.equal(existsSync(join(cwd, "data")), false);
});

test(
  "S4-43, S4-42: --redis and --db look at one thing only",
  promise(["S4-42", "S4-43"], async (t) => {
    const { cwd } = madeDir(t);
    const [redis, db] = await Promise.all([
      examine(cwd, ["--redis"], { REDIS_HOST: "redis.example.org" }),
      examine(cwd, ["--db", "--deep"]),
    ]);
    assert.deepEqual([redis.status, [...redis.found]], [0, [["redis", "WARN"]]]);
    assert.match(saying(redis.report, "redis"), /embedded[\s\S]*REDIS_HOST is ignored/);
    assert.deepEqual(
      [...db.found.keys()],
      [
        "database",
        "migrations",
        "schema",
        "foreign keys",
        "encryption",
        "audit",
        "queues",
        "keys",
        "accounts",
        "rights",
        "stored bytes",
        "clock",
      ],
    );
    assert.match(saying(db.report, "database"), /integrity check found nothing/);
  }),
);
